package store

import (
	"fmt"
	"strings"
)

// Damage is the error about a file that differs from what the store wrote. The store uses nothing of such a file until
// an operator decides; see [Restore].
type Damage struct {
	File  string
	Flaws []Flaw // at least one
}

// Flaw is one error in a file.
type Flaw struct {
	Line  int    // from 1; 0 if the flaw is not about a line
	Entry string // the key, as far as it can be read; "" if the flaw is not about an entry
	What  string
}

// shownFlaws is the highest number of flaws that an error lists.
const shownFlaws = 5

func (d *Damage) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "store: %s is damaged: ", d.File)
	for i, f := range d.Flaws {
		if i == shownFlaws {
			fmt.Fprintf(&text, "; and %d more", len(d.Flaws)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(f.String())
	}
	return text.String()
}

func (f Flaw) String() string {
	switch {
	case f.Entry != "":
		return fmt.Sprintf("line %d, entry %q: %s", f.Line, f.Entry, f.What)
	case f.Line > 1:
		return fmt.Sprintf("line %d: %s", f.Line, f.What)
	}
	return f.What
}

func damaged(file, format string, args ...any) *Damage {
	return &Damage{File: file, Flaws: []Flaw{{What: fmt.Sprintf(format, args...)}}}
}
