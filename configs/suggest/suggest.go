// Package suggest finds the name that somebody meant who mistyped a key, a command or a server. It compares words and
// does not know what they name.
package suggest

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest returns the known word that word is most probably a misspelling of, whatever its case, or "" if none is near
// enough: see budget. Names that end in different numbers are different things: mbx9 is no misspelling of mbx1.
func Nearest(word string, known []string) string {
	best, bestDistance := "", budget(word)+1
	for _, k := range known {
		near := distance(strings.ToLower(word), strings.ToLower(k))
		if near < bestDistance && !otherNumber(word, k) && len(word) > 1 {
			best, bestDistance = k, near
		}
	}
	return best
}

// The costs of an edit. Replacing a letter makes a different word more often than a missing letter, an extra letter,
// or two swapped neighbours.
const (
	moved    = 2 // also missing or extra
	replaced = 3
)

// budget is the highest cost of the edits between a word and a known one. Three letters do not allow a replaced one:
// Foo is no misspelling of For. Four or five allow one edit. Seven allow two, of which at most one is a replaced
// letter: Version is no misspelling of Session. The limit prevents a long name from being taken for another that
// shares most of it, such as a monitor and its probe.
func budget(word string) int { return max(moved, min(len(word)*3/4, 2*replaced)) }

// maxListed is the highest number of names in an error.
const maxListed = 8

// NoSuch returns the text of the error for an unknown name: "there is no WHAT NAME", with a suggestion. That is the
// most similar name; otherwise the names that end in it; otherwise the names under the same path; otherwise all known
// names, if they are few. Names are sorted.
func NoSuch(what, name string, known []string) string {
	text := fmt.Sprintf("there is no %s %q", what, name)
	if near := Nearest(name, known); near != "" {
		return text + "; did you mean " + near + "?"
	}
	lower := strings.ToLower(name)
	known = those(known, func(string) bool { return true })
	slices.Sort(known)
	if ends := those(known, func(k string) bool { return strings.HasSuffix(k, "/"+lower) }); few(ends) {
		return text + "; did you mean " + strings.Join(ends, " or ") + "?"
	}
	if path, _, below := cutLast(lower); below {
		isBeside := func(k string) bool {
			p, _, _ := cutLast(k)
			return p == path || strings.HasSuffix(p, "/"+path)
		}
		if beside := those(known, isBeside); few(beside) {
			return text + "; known: " + strings.Join(beside, ", ")
		}
	}
	if few(known) {
		return text + "; known: " + strings.Join(known, ", ")
	}
	return text
}

func few(names []string) bool { return len(names) > 0 && len(names) <= maxListed }

// those returns the names whose lower-case form fits, without duplicates.
func those(names []string, fits func(lower string) bool) (all []string) {
	for _, name := range names {
		if fits(strings.ToLower(name)) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// cutLast splits a path before its last element.
func cutLast(path string) (before, last string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// otherNumber reports whether two names differ only in their final number.
func otherNumber(a, b string) bool {
	const digits = "0123456789"
	x, y := strings.TrimRight(a, digits), strings.TrimRight(b, digits)
	return len(x) < len(a) && len(y) < len(b) && strings.EqualFold(x, y) && a[len(x):] != b[len(y):]
}

// distance is the cost of the single-byte edits between a and b. Swapping two neighbours is one edit (optimal string
// alignment).
func distance(a, b string) int {
	if len(a) > 64 { // no key is that long
		return replaced * len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i * moved
	}
	for j := range len(b) + 1 {
		rows[0][j] = j * moved
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				cost += replaced
			}
			cost = min(cost, rows[i][j-1]+moved, rows[i-1][j]+moved)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cost = min(cost, rows[i-2][j-2]+moved)
			}
			rows[i][j] = cost
		}
	}
	return rows[len(a)][len(b)]
}
