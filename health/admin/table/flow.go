package table

import "io"

// Flow writes rows one by one. A column is as wide as its head and the cells so far, as far as that fits the terminal.
type Flow struct {
	table *Table
	out   io.Writer
	style Style
	fit   *fit // nil before the first row
}

// Flow returns a writer of rows that arrive over time. The table must have no rows. Flow does not write JSON.
func (t *Table) Flow(out io.Writer, s Style) *Flow { return &Flow{table: t, out: out, style: s} }

// Add writes a row.
func (f *Flow) Add(name string, cells ...string) error {
	t := &Table{heads: f.table.heads, narrow: f.table.narrow, ranks: f.table.ranks}
	t.AddNamed(name, cells...)
	columns, width, first := t.narrow, f.style.Width, f.fit == nil
	switch f.style.Form {
	case Wide:
		columns, width = len(t.heads), 0
	case Name:
		return t.Write(f.out, f.style, nil)
	}
	if first {
		f.fit = t.fit(columns)
		f.fit.head(t.heads[:columns])
	}
	if f.style.Form == List {
		blank := "\n"
		if first {
			blank = ""
		}
		_, err := io.WriteString(f.out, blank+string(t.list()))
		return err
	}
	row := t.rows[0].cells[:columns]
	f.fit.cells(row)
	widths, text := f.fit.widths(width), []byte(nil)
	if first && !f.style.NoHeaders {
		text = appendLine(text, t.heads[:columns], widths, width)
	}
	_, err := f.out.Write(appendLine(text, row, widths, width))
	return err
}
