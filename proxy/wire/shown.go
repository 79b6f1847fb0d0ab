package wire

// maxShown bounds what is shown of a command, in bytes.
const maxShown = 200

// Shown is what may be shown to people of a command's arguments: printable ASCII, bounded. Only a Mask makes one, and
// the two functions below, so that what has this type holds no secret, whatever a client has sent.
type Shown struct {
	n    uint8
	text [maxShown]byte
}

// String returns the text.
func (s *Shown) String() string { return string(s.text[:s.n]) }

// AppendTo appends the text.
func (s *Shown) AppendTo(dst []byte) []byte { return append(dst, s.text[:s.n]...) }

const fiveStars = " *****"

// ShownLogin is LOGIN's arguments: the user, by the name that the proxy goes by, and five stars.
func ShownLogin(user string) (s Shown) {
	s.add([]byte(user), maxShown-len(fiveStars))
	s.n += uint8(copy(s.text[s.n:], fiveStars))
	return s
}

// ShownName is a name of the proxy's own.
func ShownName(name string) (s Shown) {
	s.add([]byte(name), maxShown)
	return s
}

// add adds bytes, escaped where they are not printable, as far as they find room below limit. It answers false if that
// is not all.
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
