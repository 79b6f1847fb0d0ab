package wire

import "bytes"

// Args is a cursor over the arguments of a Command. Each method reads one thing and moves behind it. If something else
// stands there, the method returns false and does not move. The zero value is at its end.
type Args struct {
	raw []byte
	pos int
}

// Pos returns the offset in the command, for error messages.
func (a *Args) Pos() int { return a.pos }

// End says whether only blanks and the line end are left.
func (a *Args) End() bool { return len(bytes.TrimLeft(trimLine(a.raw[a.pos:]), " ")) == 0 }

// Space reads one or more blanks: servers skip extra ones. Between two quoted strings none is needed.
func (a *Args) Space() bool {
	if !a.byte(' ') {
		return a.pos > 0 && a.pos < len(a.raw) && a.raw[a.pos-1] == '"' && a.raw[a.pos] == '"'
	}
	for a.byte(' ') {
	}
	return true
}

// Open reads "(".
func (a *Args) Open() bool { return a.byte('(') }

// Close reads ")".
func (a *Args) Close() bool { return a.byte(')') }

func (a *Args) byte(c byte) bool {
	if a.pos == len(a.raw) || a.raw[a.pos] != c {
		return false
	}
	a.pos++
	return true
}

// Atom reads an atom; "=" and "+" may stand in it, so that base64 is read too.
func (a *Args) Atom() (string, bool) { return a.word(charAtom) }

// Astring reads an atom, a quoted string or a literal (RFC 9051 section 9, astring). As servers do, it takes more for
// an atom than the grammar has: "%", "*", "\\", bytes that are not ASCII, and a brace that does not begin it. Only a
// literal marked as binary may have NUL in it.
func (a *Args) Astring() (string, bool) {
	if s, ok := a.str(); ok {
		return s, true
	}
	if rest := bytes.TrimPrefix(a.raw[a.pos:], []byte("~")); len(rest) > 0 && rest[0] == '{' {
		return "", false
	}
	return a.word(charArgument)
}

// NString reads what Astring does, and an atom NIL as "".
func (a *Args) NString() (string, bool) {
	if s, ok := a.str(); ok {
		return s, true
	}
	word, ok := a.Astring()
	if equalFold(word, "NIL") {
		word = ""
	}
	return word, ok
}

func (a *Args) word(class uint8) (string, bool) {
	rest := a.raw[a.pos:]
	n := span(rest, class, len(rest))
	a.pos += n
	return string(rest[:n]), n > 0
}

func (a *Args) str() (string, bool) {
	if a.pos == len(a.raw) {
		return "", false
	}
	switch a.raw[a.pos] {
	case '"':
		return a.quoted()
	case '{', '~':
		return a.literal()
	}
	return "", false
}

func (a *Args) quoted() (string, bool) {
	var text []byte
	for i := a.pos + 1; i < len(a.raw); i++ {
		switch c := a.raw[i]; {
		case c == '"':
			a.pos = i + 1
			return string(text), true
		case c == '\\' && i+1 < len(a.raw) && a.raw[i+1] != 0 && !isLineEnd(a.raw[i+1]):
			// servers let any character be escaped
			i++
			text = append(text, a.raw[i])
		case c == '\\' || c == 0 || isLineEnd(c):
			return "", false
		default:
			text = append(text, c)
		}
	}
	return "", false
}

func (a *Args) literal() (string, bool) {
	line, rest, _ := bytes.Cut(a.raw[a.pos:], []byte("\n"))
	m := lineMarker(line)
	if open := bytes.IndexByte(line, '{'); !m.found() || open > 1 || open != bytes.LastIndexByte(line, '{') {
		return "", false
	}
	if m.size > int64(len(rest)) || bytes.IndexByte(rest[:m.size], 0) >= 0 && line[0] != '~' {
		return "", false
	}
	a.pos += len(line) + 1 + int(m.size)
	return string(rest[:m.size]), true
}
