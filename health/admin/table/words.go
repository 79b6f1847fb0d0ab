package table

import (
	"fmt"
	"strings"
)

// Counted returns a number with its word, in the singular for one. A word whose plural is not formed with s is given
// as "penalt/y/ies".
func Counted(n int, word string) string {
	stem, ends, irregular := strings.Cut(word, "/")
	one, many := "", "s"
	if irregular {
		one, many, _ = strings.Cut(ends, "/")
	}
	if n == 1 {
		return fmt.Sprintf("%d %s%s", n, stem, one)
	}
	return fmt.Sprintf("%d %s%s", n, stem, many)
}
