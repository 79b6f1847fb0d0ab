package wire

// maxShown bounds the shown text of a command, in bytes.
const maxShown = 200

// Shown is the part of a command's arguments that people may see: printable ASCII, bounded. Only a Mask and the two
// functions below make one, so it holds no secret, whatever a client has sent.
type Shown struct {
	n    uint8
	text [maxShown]byte
}

// String returns the text.
func (s *Shown) String() string { return string(s.text[:s.n]) }

// AppendTo appends the text.
func (s *Shown) AppendTo(dst []byte) []byte { return append(dst, s.text[:s.n]...) }

const fiveStars = " *****"

// ShownLogin returns LOGIN's arguments: the user's canonical name, and five stars.
func ShownLogin(user string) (s Shown) {
	s.add([]byte(user), maxShown-len(fiveStars))
	s.n += uint8(copy(s.text[s.n:], fiveStars))
	return s
}

// ShownName returns a name that the proxy itself has made.
func ShownName(name string) (s Shown) {
	s.add([]byte(name), maxShown)
	return s
}

// add adds bytes up to limit, and escapes those that are not printable. It returns false if not all had room.
func (s *Shown) add(p []byte, limit int) bool {
	const hex = "0123456789abcdef"
	for _, c := range p {
		switch {
		case c >= ' ' && c < 0x7f && int(s.n) < limit:
			s.text[s.n] = c
			s.n++
		case (c < ' ' || c >= 0x7f) && int(s.n)+len(`\xff`) <= limit:
			s.n += uint8(copy(s.text[s.n:], []byte{'\\', 'x', hex[c>>4], hex[c&15]}))
		default:
			return false
		}
	}
	return true
}
