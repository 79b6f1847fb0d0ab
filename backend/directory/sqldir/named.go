package sqldir

import (
	"slices"
	"strings"

	"portico/backend/directory"
)

// A database may find a row for another name than was asked for: its collation takes letters for the same that differ
// in accents, pads with blanks, or ignores NUL. Which name the row has is seen in the expression that the query
// compares with a field, in "WHERE address = {user}" the column address. So that expression becomes a column of the
// answer, and Go compares it.

// comparison is an expression that a query compares with a field.
type comparison struct {
	expression string // without fields
	field      string
}

// named adds to a template's texts a column for each comparison of its WHERE and ON, behind the operator's own
// columns. It finds none in a query of another shape than SELECT ... FROM ..., with one SELECT: the rows of such a
// query must say their name.
func named(texts, fields []string) ([]string, []comparison) {
	words, ok := scan(texts, fields)
	if !ok {
		return texts, nil
	}
	from := -1
	for i, w := range words {
		switch {
		case w.is("SELECT") != (i == 0), w.is("DISTINCT", "GROUP", "UNION", "INTERSECT", "EXCEPT", "WITH"):
			return texts, nil
		case from < 0 && w.depth == 0 && w.is("FROM"):
			from = i
		}
	}
	if from < 0 {
		return texts, nil
	}
	var found []comparison
	for i := from; i < len(words); i++ {
		if c, ok := compared(texts, words, i); ok && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	var columns strings.Builder
	for _, c := range found {
		columns.WriteString(", " + c.expression + " ")
	}
	at, in := words[from].begin, words[from].text
	texts = slices.Clone(texts)
	texts[in] = texts[in][:at] + columns.String() + texts[in][at:]
	return texts, found
}

// compared reads the comparison at an equals sign: one side holds one field, perhaps within a function, the other side
// none.
func compared(texts []string, words []word, at int) (comparison, bool) {
	if !words[at].is("=", "<=>") {
		return comparison{}, false
	}
	depth := words[at].depth
	begin, end := at, at+1
	for begin > 0 && !words[begin-1].bounds(depth, before) {
		begin--
	}
	for end < len(words) && !words[end].bounds(depth, behind) {
		end++
	}
	left, right := words[begin:at], words[at+1:end]
	fieldsOf := func(side []word) (fields []string) {
		for _, w := range side {
			if w.field != "" {
				fields = append(fields, w.field)
			}
		}
		return fields
	}
	ofLeft, ofRight := fieldsOf(left), fieldsOf(right)
	if len(ofLeft) > 0 {
		left, ofLeft, ofRight = right, ofRight, ofLeft
	}
	if len(left) == 0 || len(ofLeft) != 0 || len(ofRight) != 1 {
		return comparison{}, false
	}
	first, last := left[0], left[len(left)-1]
	return comparison{expression: texts[first.text][first.begin:last.end], field: ofRight[0]}, true
}

// same says whether a row is for the name that was asked for: a field counts where a value that it was compared with
// is the same, and all that the query asks for must count. A user's name covers its two parts, and they cover it.
func same(q directory.Query, asked []string, comparisons []comparison, values []string) bool {
	proven := make(map[string]bool)
	for i, c := range comparisons {
		if value, _ := q.Field(c.field); directory.SameName(value, values[i]) {
			proven[c.field] = true
		}
	}
	switch {
	case proven["user"]:
		proven["local"], proven["domain"] = true, true
	case proven["local"] && proven["domain"]:
		proven["user"] = true
	}
	return !slices.ContainsFunc(asked, func(field string) bool { return !proven[field] })
}

// What stands before and behind an operand of a comparison, apart from parentheses.
var (
	before = []string{"WHERE", "AND", "OR", "XOR", "NOT", "ON", "WHEN", ",", "&&"}
	behind = []string{"AND", "OR", "XOR", "WHERE", "THEN", "ORDER", "HAVING", "LIMIT", "OFFSET", "FETCH", "FOR",
		"LEFT", "RIGHT", "INNER", "CROSS",
		"FULL", "NATURAL", "JOIN", "STRAIGHT_JOIN", "WINDOW", "INTO", "LOCK", ",", ";", "&&", "=", "<=>"}
)

// bounds says whether the word ends an operand that stands at a depth.
func (w word) bounds(depth int, edge []string) bool {
	return w.depth < depth || w.depth == depth && !w.called && w.is(edge...)
}
