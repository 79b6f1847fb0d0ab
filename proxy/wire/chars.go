package wire

// Classes of bytes, one bit each.
const (
	charTag   = 1 << iota // may stand in a tag: ASTRING-CHAR but for "+" (RFC 9051 section 9)
	charAtom              // may stand in an atom
	charAlpha             // a letter
	charDigit
	charPlain    // ends no atom, whatever is made of brackets
	charArgument // may stand in what servers take for an atom
	charPlainTag // may stand in a tag, and no server takes it for more than that
)

var charClass = func() (class [256]uint8) {
	for c := range 256 {
		b := byte(c)
		if b > ' ' && b != 0x7f && b != '(' && b != ')' && b != '"' {
			class[c] |= charArgument
		}
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
		if b != '[' && b != ']' && b != '<' && b != '>' && b != '(' && b != ')' {
			class[c] |= charPlain
		}
		if class[c]&charTag != 0 && b != ']' {
			class[c] |= charPlainTag
		}
		if b >= '0' && b <= '9' {
			class[c] |= charDigit
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

// equalFold compares a word with one given in upper case. Only ASCII letters have cases here.
func equalFold[T string | []byte](word T, upper string) bool {
	if len(word) != len(upper) {
		return false
	}
	for i := range len(upper) {
		if upperCase(word[i]) != upper[i] {
			return false
		}
	}
	return true
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

// isLineEnd says whether c is CR or LF.
func isLineEnd(c byte) bool { return c == '\r' || c == '\n' }

// endsWord says whether the grammar allows c after a verb or a status.
func endsWord(c byte) bool { return c == ' ' || isLineEnd(c) }

// maxBlanks bounds the blanks that are skipped before a word, where the grammar allows one.
const maxBlanks = 64

// blanks counts the blanks that p begins with, bounded.
func blanks(p []byte) int {
	n := 0
	for n < len(p) && n < maxBlanks && p[n] == ' ' {
		n++
	}
	return n
}

// maxWord is longer than any known word. Of a longer word only the beginning is read.
const maxWord = maxVerb + 1

// nextWord reads blanks and the letters behind them. With an empty rest, more bytes are needed to tell the word.
func nextWord(p []byte) (word, rest []byte) {
	p = p[blanks(p):]
	n := span(p, charAlpha, maxWord)
	return p[:n], p[n:]
}
