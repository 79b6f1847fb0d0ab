// Package suggest finds what somebody who mistyped a name has meant: a key, a command, a server.
//
// It knows words alone, and must not know what they name.
package suggest

import "strings"

// Nearest returns the known word that word is most probably a misspelling of, whatever its case, or "" if none is that near: at most one
// edit in three letters, at least one, and three in all. Names that end in different numbers are different things: mbx9 is no misspelling of mbx1.
func Nearest(word string, known []string) string {
	best, bestDistance := "", max(min(len(word)/3, maxEdits), 1)+1
	for _, k := range known {
		near := distance(strings.ToLower(word), strings.ToLower(k))
		if near < bestDistance && !otherNumber(word, k) && len(word) > 1 {
			best, bestDistance = k, near
		}
	}
	return best
}

// maxEdits keeps a long name from being taken for another that shares most of it: a monitor and its probe.
const maxEdits = 3

// otherNumber says whether two names differ only in the number that they end in.
func otherNumber(a, b string) bool {
	const digits = "0123456789"
	x, y := strings.TrimRight(a, digits), strings.TrimRight(b, digits)
	return len(x) < len(a) && len(y) < len(b) && strings.EqualFold(x, y) && a[len(x):] != b[len(y):]
}

// distance is the number of single-byte edits between a and b, where two neighbours that change places are one (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 { // no key is that long: spare the work
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				cost++
			}
			cost = min(cost, rows[i][j-1]+1, rows[i-1][j]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cost = min(cost, rows[i-2][j-2]+1)
			}
			rows[i][j] = cost
		}
	}
	return rows[len(a)][len(b)]
}
