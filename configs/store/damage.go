package store

import (
	"fmt"
	"strings"
)

// Damage is the error about a file that is not as the store wrote it. Nothing
// of such a file is used until somebody says how to go on; see [Restore].
type Damage struct {
	File  string
	Flaws []Flaw // at least one
}

// Flaw is one thing that is wrong with a file.
type Flaw struct {
	Line  int    // from 1; 0 if it is not about a line
	Entry string // the key, as far as it can be read; "" if it is not about an entry
	What  string
}

// shownFlaws bounds how many flaws an error lists.
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
