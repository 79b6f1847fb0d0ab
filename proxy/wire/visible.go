package wire

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Visible returns a text that somebody else has chosen, such as a user name, in a form that is safe to show in logs,
// lists and rows. It escapes invisible characters and those that change how others are shown, byte by byte, as
// \xe2\x80\xae: control characters, line ends, characters that change the direction of writing, characters without
// width, blanks other than U+0020, and bytes that are not UTF-8.
func Visible(text string) string {
	if allPrintable(text) {
		return text
	}
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 2*len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size <= 1 || !strconv.IsPrint(r) ||
			unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			for _, c := range []byte(text[i : i+size]) {
				out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
			}
		} else {
			out = append(out, text[i:i+size]...)
		}
		i += size
	}
	return string(out)
}

// allPrintable says whether a text is printable ASCII, as most are.
func allPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}
