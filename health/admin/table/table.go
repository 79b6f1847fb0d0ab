// Package table writes rows for people and for programs: as an aligned table that fits a terminal, as a list, as JSON,
// or as names alone.
package table

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"portico/proxy/wire"
)

// Form is the form of a written table.
type Form string

// The forms.
const (
	Plain Form = "table" // the columns that most people need, cut to the width of the terminal
	Wide  Form = "wide"  // all columns, never cut
	List  Form = "list"  // all columns, each on its own line
	JSON  Form = "json"
	Name  Form = "name" // the names that other commands take, one per line
)

// Forms returns all forms in the order of the help texts.
func Forms() []Form { return []Form{Plain, Wide, List, JSON, Name} }

// Table is rows under their heads. The zero value has no columns; see New.
type Table struct {
	heads  []string
	narrow int // heads of Plain; the others are for Wide and List
	ranks  map[string]rank
	rows   []row
}

// rank says when a column loses space; see shrink.
type rank uint8

const (
	usual  rank = iota
	kept        // after the others
	yields      // before the others, down to a mark
)

type row struct {
	name  string
	cells []string
}

// New returns a table with these columns.
func New(heads ...string) *Table {
	return &Table{heads: heads, narrow: len(heads), ranks: make(map[string]rank)}
}

// Keep names the most important columns. If Plain does not fit the terminal, they lose space after the others.
func (t *Table) Keep(heads ...string) *Table { return t.rank(kept, heads) }

// Yield names the least important columns. If Plain does not fit the terminal, they shrink first, down to a mark.
func (t *Table) Yield(heads ...string) *Table { return t.rank(yields, heads) }

func (t *Table) rank(r rank, heads []string) *Table {
	for _, head := range heads {
		t.ranks[head] = r
	}
	return t
}

// Wide adds columns that Plain leaves out.
func (t *Table) Wide(heads ...string) *Table {
	t.heads = append(t.heads, heads...)
	return t
}

// Add adds a row with a cell for each column. The first cell is the row's name.
func (t *Table) Add(cells ...string) { t.AddNamed(cells[0], cells...) }

// AddNamed adds a row whose name is not the first cell.
func (t *Table) AddNamed(name string, cells ...string) {
	if len(cells) != len(t.heads) {
		panic(fmt.Sprintf("table: %d cells for %d columns", len(cells), len(t.heads)))
	}
	for i := range cells {
		cells[i] = wire.Visible(cells[i]) // clients choose some of them, such as user names
	}
	t.rows = append(t.rows, row{wire.Visible(name), cells})
}

// Second adds a column behind the first, with a cell for each row, unless all cells are empty.
func (t *Table) Second(head string, cells []string) *Table {
	if !slices.ContainsFunc(cells, func(cell string) bool { return cell != "" }) {
		return t
	}
	t.heads, t.narrow = slices.Insert(t.heads, 1, head), t.narrow+1
	for i := range t.rows {
		t.rows[i].cells = slices.Insert(t.rows[i].cells, 1, wire.Visible(cells[i]))
	}
	return t
}

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Style says how to write a table.
type Style struct {
	Form      Form
	NoHeaders bool
	Width     int // of the terminal in columns, for Plain; 0 for no limit
}

// Write writes the table. JSON shows value instead of the rows.
func (t *Table) Write(out io.Writer, s Style, value any) error {
	var text []byte
	switch s.Form {
	case JSON:
		marshalled, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		text = append(visibleJSON(marshalled), '\n')
	case Name:
		for _, r := range t.rows {
			text = fmt.Appendln(text, r.name)
		}
	case List:
		text = t.list()
	case Wide:
		text = t.aligned(len(t.heads), 0, s.NoHeaders)
	default:
		text = t.aligned(t.narrow, s.Width, s.NoHeaders)
	}
	_, err := out.Write(text)
	return err
}

// list writes each cell on a line with its head, and a blank line between rows.
func (t *Table) list() (text []byte) {
	width := 0
	for _, head := range t.heads {
		width = max(width, displayWidth(head))
	}
	for i, r := range t.rows {
		if i > 0 {
			text = append(text, '\n')
		}
		for j, head := range t.heads {
			text = append(text, pad(head, width)...)
			text = append(text, strings.TrimRight(" : "+r.cells[j], " ")...)
			text = append(text, '\n')
		}
	}
	return text
}

// aligned writes the first columns, aligned.
func (t *Table) aligned(columns, width int, noHeaders bool) (text []byte) {
	f := t.fit(columns)
	if !noHeaders {
		f.head(t.heads[:columns])
	}
	for _, r := range t.rows {
		f.cells(r.cells[:columns])
	}
	widths := f.widths(width)
	if !noHeaders {
		text = appendLine(text, t.heads[:columns], widths, width)
	}
	for _, r := range t.rows {
		text = appendLine(text, r.cells[:columns], widths, width)
	}
	return text
}

// appendLine appends a line whose cells have these widths.
func appendLine(text []byte, cells []string, widths []int, width int) []byte {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString(gap)
		}
		line.WriteString(pad(cutCell(orDash(cell), widths[i]), widths[i]))
	}
	shown := strings.TrimRight(line.String(), " ")
	if width > 0 {
		shown = Cut(shown, width)
	}
	return append(append(text, shown...), '\n')
}

// gap separates columns.
const gap = "  "

// orDash fills an empty cell, so that programs find the same number of words in each row.
func orDash(cell string) string {
	if cell == "" {
		return "-"
	}
	return cell
}

// visibleJSON writes control characters as JSON escapes, which change no value.
func visibleJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r == '\n' || wire.Visible(string(r)) == string(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}
