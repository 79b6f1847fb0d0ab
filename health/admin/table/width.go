package table

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// cutMark marks a cut text.
const cutMark = "…"

// Cut shortens a text to a width, and marks the cut.
func Cut(text string, columns int) string {
	if displayWidth(text) <= columns {
		return text
	}
	used := 0
	for i, r := range text {
		if used += runeWidth(r); used > columns-1 {
			return strings.TrimRight(text[:i], " ") + cutMark
		}
	}
	return text
}

// pad fills a text with spaces to a width.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-displayWidth(text), 0))
}

// displayWidth returns how many terminal columns a text occupies.
func displayWidth(text string) (columns int) {
	for _, r := range text {
		columns += runeWidth(r)
	}
	return columns
}

func runeWidth(r rune) int {
	if r < 0x300 { // most text; none of it combines or is wide
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// defaultWidth is the width of a terminal that does not report one.
const defaultWidth = 80

// TerminalWidth returns the width of out in columns: the value of the environment variable COLUMNS, passed in as
// columns, otherwise the terminal's width. It is 0, which is no limit, if out is a file or a pipe.
func TerminalWidth(out io.Writer, columns string) int {
	if n, err := strconv.Atoi(columns); err == nil && n > 0 {
		return n
	}
	file, ok := out.(*os.File)
	if !ok {
		return 0
	}
	n, terminal := fileWidth(file)
	if terminal && n <= 0 {
		return defaultWidth
	}
	return n
}
