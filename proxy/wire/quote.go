package wire

// AppendAstring appends s as a quoted string. It returns false, and appends nothing, if s has bytes that only a literal
// can carry: NUL, CR, LF and all beyond ASCII (RFC 9051 section 9; in IMAP4rev1 quoted strings are 7-bit).
func AppendAstring(dst []byte, s string) ([]byte, bool) {
	for i := range len(s) {
		if c := s[i]; c == 0 || isLineEnd(c) || c >= 0x80 {
			return dst, false
		}
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"'), true
}

// AppendText appends somebody else's text in a form that is safe in a line of ours: printable ASCII, at most limit
// bytes, and round brackets for square ones, so that nobody reads it as a response code.
func AppendText(dst []byte, s string, limit int) []byte {
	if len(s) > limit {
		s = s[:limit]
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '[':
			dst = append(dst, '(')
		case c == ']':
			dst = append(dst, ')')
		case c < ' ' || c >= 0x7f:
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
