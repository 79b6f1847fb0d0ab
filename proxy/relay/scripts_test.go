package relay

import (
	"slices"
	"strconv"
	"strings"
)

// says are steps for words that lead to what the pairs behind them say.
func says(from who, text string, hears ...any) []step {
	steps := []step{{from, text}}
	for i := 0; i < len(hears); i += 2 {
		steps = append(steps, step{hears[i].(who), hears[i+1].(string)})
	}
	return steps
}

func join(steps ...[]step) []step { return slices.Concat(steps...) }

// lengthOf is the size of a text as a literal.
func lengthOf(text string) string { return strconv.Itoa(len(crlf(text))) }

// lfs turns a line of the relay's into a script's text.
func lfs(line string) string { return strings.ReplaceAll(line, "\r\n", "\n") }

// headed puts a literal's size in the place of "%".
func headed(text string, size int) string { return strings.Replace(text, "%", strconv.Itoa(size), 1) }
