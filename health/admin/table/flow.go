package table

import (
	"io"
	"strings"
)

// Flow writes rows one by one, as they come. Columns are as wide as their head and what was written so far.
type Flow struct {
	table  *Table
	out    io.Writer
	style  Style
	widths []int // nil before the first row
}

// Flow returns a writer of rows that come over time; the table must have none. JSON is not for it.
func (t *Table) Flow(out io.Writer, s Style) *Flow { return &Flow{table: t, out: out, style: s} }

// Add writes a row.
func (f *Flow) Add(name string, cells ...string) error {
	t := &Table{heads: f.table.heads, narrow: f.table.narrow}
	t.AddNamed(name, cells...)
	columns, width := t.narrow, f.style.Width
	switch f.style.Form {
	case List:
		blank := ""
		if f.widths != nil {
			blank = "\n"
		}
		f.widths = []int{}
		_, err := io.WriteString(f.out, blank+string(t.list()))
		return err
	case Name:
		return t.Write(f.out, f.style, nil)
	case Wide:
		columns, width = len(t.heads), 0
	}
	text := ""
	if f.widths == nil {
		f.widths = make([]int, columns)
		heads := f.line(t.heads[:columns], width)
		if !f.style.NoHeaders {
			text = heads
		}
	}
	_, err := io.WriteString(f.out, text+f.line(t.rows[0].cells[:columns], width))
	return err
}

// line aligns a line with those before it, as far as that is possible.
func (f *Flow) line(cells []string, width int) string {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString(gap)
		}
		f.widths[i] = max(f.widths[i], displayWidth(orDash(cell)))
		line.WriteString(pad(orDash(cell), f.widths[i]))
	}
	text := strings.TrimRight(line.String(), " ")
	if width > 0 {
		text = cut(text, width)
	}
	return text + "\n"
}
