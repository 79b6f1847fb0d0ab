package sqldir

import (
	"slices"
	"strings"
)

// word is a word, a sign, a quoted text or a field of a query.
type word struct {
	value      string // a word in upper case, or a sign; "" for a quoted text and a field
	field      string
	depth      int  // of parentheses; a parenthesis itself has the depth outside
	called     bool // a parenthesis follows
	text       int  // index of the text it stands in
	begin, end int  // in that text
}

func (w word) is(values ...string) bool { return w.value != "" && slices.Contains(values, w.value) }

const signs = "=<>!~+-*/%|&^:@?"

// scan splits a query into words. It is not ok if the query has what databases read differently: a backslash in
// quotes, "#", "$".
func scan(texts, fields []string) (words []word, ok bool) {
	depth := 0
	for i, text := range texts {
		for at := 0; at < len(text); {
			w := word{depth: depth, text: i, begin: at}
			if w.end = extent(text, at); w.end < 0 {
				return nil, false
			}
			piece := text[at:w.end]
			at = w.end
			switch c := piece[0]; {
			case c <= ' ', strings.HasPrefix(piece, "--"), strings.HasPrefix(piece, "/*"):
				continue
			case c == '(':
				depth++
				if n := len(words); n > 0 {
					words[n-1].called = true
				}
			case c == ')':
				depth--
				w.depth = depth
			}
			if !strings.Contains("'\"`", piece[:1]) {
				w.value = strings.ToUpper(piece)
			}
			words = append(words, w)
		}
		if i < len(fields) {
			words = append(words, word{field: fields[i], depth: depth, text: i, begin: len(text), end: len(text)})
		}
	}
	return words, depth == 0 && len(words) > 0
}

// extent returns the end of what begins at a place of a text: blanks, a comment, a quoted text, a word, signs; -1 if
// that is not clear.
func extent(text string, at int) int {
	rest := text[at:]
	until := func(end string) int {
		length := strings.Index(rest[len(end):], end)
		if length < 0 || strings.Contains(rest[:length+len(end)], `\`) {
			return -1
		}
		return at + length + 2*len(end)
	}
	while := func(of func(byte) bool) int {
		end := at
		for end < len(text) && of(text[end]) {
			end++
		}
		return end
	}
	switch c := rest[0]; {
	case c <= ' ':
		return while(func(c byte) bool { return c <= ' ' })
	case strings.HasPrefix(rest, "--"):
		return while(func(c byte) bool { return c != '\n' })
	case strings.HasPrefix(rest, "/*"):
		if end := strings.Index(rest, "*/"); end > 0 {
			return at + end + len("*/")
		}
		return -1
	case c == '\'', c == '"', c == '`':
		return until(rest[:1])
	case c == '#', c == '$', c == '\\':
		return -1
	case isWord(c):
		return while(isWord)
	case strings.IndexByte(signs, c) >= 0:
		return while(func(c byte) bool { return strings.IndexByte(signs, c) >= 0 })
	}
	return at + 1
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
