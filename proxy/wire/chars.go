package wire

// Classes of bytes, one bit each.
const (
	charTag   = 1 << iota // may stand in a tag: ASTRING-CHAR but for "+" (RFC 9051 section 9)
	charAtom              // may stand in an atom
	charAlpha             // a letter
)

var charClass = func() (class [256]uint8) {
	for c := range 256 {
		b := byte(c)
		if b <= ' ' || b >= 0x7f {
			continue
		}
		switch b {
		case '(', ')', '{', '%', '*', '"', '\\':
		case ']':
			class[c] |= charTag
		case '+':
			class[c] |= charAtom
		default:
			class[c] |= charTag | charAtom
		}
		if upper := upperCase(b); upper >= 'A' && upper <= 'Z' {
			class[c] |= charAlpha
		}
	}
	return class
}()

func upperCase(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// span returns how many bytes at the start of p are of a class, at most limit.
func span(p []byte, class uint8, limit int) int {
	if len(p) > limit {
		p = p[:limit]
	}
	for i, c := range p {
		if charClass[c]&class == 0 {
			return i
		}
	}
	return len(p)
}

// isLineEnd tells CR and LF.
func isLineEnd(c byte) bool { return c == '\r' || c == '\n' }
