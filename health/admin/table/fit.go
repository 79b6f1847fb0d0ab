package table

import "slices"

const (
	// leastWidth is how narrow a column may become so that a table fits.
	leastWidth = 6
	// keptWidth is how narrow a column that is kept becomes together with the others.
	keptWidth = 20
)

// fit finds the widths of columns, from what is to be written in them.
type fit struct {
	ranks  []rank
	wanted []int // so that nothing is cut
	filled []int // so that no cell is cut, but for heads
	least  []int // no column becomes narrower, but for those that yield
	timed  []bool
}

// fit returns the fit of the first columns.
func (t *Table) fit(columns int) *fit {
	f := &fit{ranks: make([]rank, columns), wanted: make([]int, columns), filled: make([]int, columns),
		least: make([]int, columns), timed: make([]bool, columns)}
	for i, head := range t.heads[:columns] {
		f.ranks[i], f.least[i] = t.ranks[head], leastWidth
	}
	return f
}

// head takes the heads in.
func (f *fit) head(heads []string) {
	for i, head := range heads {
		f.wanted[i] = max(f.wanted[i], displayWidth(head))
	}
}

// cells takes a row in.
func (f *fit) cells(row []string) {
	for i, cell := range row {
		n := displayWidth(orDash(cell))
		f.wanted[i], f.filled[i] = max(f.wanted[i], n), max(f.filled[i], n)
		f.least[i] = max(f.least[i], leastOf(cell))
		f.timed[i] = f.timed[i] || isTime(cell)
	}
}

// widths returns the widths with which a line fits, as far as that is possible; a width of 0 is no limit. Space goes
// in this order: from heads that are wider than their cells; from columns that yield; from dates, if columns are kept;
// from all others, where a kept column has keptWidth left; from kept columns. The first column, which names the row,
// is the last to lose some.
func (f *fit) widths(width int) []int {
	widths := slices.Clone(f.wanted)
	if width <= 0 {
		return widths
	}
	keeps := slices.Contains(f.ranks, kept)
	for _, floor := range []func(i int) int{
		func(i int) int { return max(f.filled[i], f.least[i]) },
		func(i int) int {
			if f.ranks[i] == yields {
				return displayWidth(cutMark)
			}
			return widths[i]
		},
		func(i int) int {
			if keeps && f.timed[i] {
				return f.least[i]
			}
			return widths[i]
		},
		func(i int) int {
			if f.ranks[i] == kept {
				return max(f.least[i], keptWidth)
			}
			return f.least[i]
		},
		func(i int) int { return f.least[i] },
	} {
		shrink(widths, width, func(i int) int {
			if i == 0 && !(keeps && f.timed[0]) {
				return widths[0]
			}
			return floor(i)
		})
	}
	shrink(widths, width, func(i int) int {
		if i == 0 {
			return f.least[0]
		}
		return widths[i]
	})
	return widths
}

// shrink takes space from the widest column that is above its floor, the last of several, until a line fits or none
// is.
func shrink(widths []int, width int, floor func(i int) int) {
	floors, total := make([]int, len(widths)), len(gap)*(len(widths)-1)
	for i, w := range widths {
		floors[i] = floor(i)
		total += w
	}
	for ; total > width; total-- {
		found := -1
		for i, w := range widths {
			if w > floors[i] && (found < 0 || w >= widths[found]) {
				found = i
			}
		}
		if found < 0 {
			return
		}
		widths[found]--
	}
}
