package table

import "slices"

const (
	// leastWidth is the smallest width of a column.
	leastWidth = 6
	// keptWidth is the smallest width of a kept column while other columns can still shrink.
	keptWidth = 20
)

// fit calculates the widths of columns from their cells.
type fit struct {
	ranks  []rank
	wanted []int // width at which nothing is cut
	filled []int // width at which no cell is cut, but perhaps the head
	least  []int // smallest width; columns that yield may become narrower
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

// head adds the heads.
func (f *fit) head(heads []string) {
	for i, head := range heads {
		f.wanted[i] = max(f.wanted[i], displayWidth(head))
	}
}

// cells adds a row.
func (f *fit) cells(row []string) {
	for i, cell := range row {
		n := displayWidth(orDash(cell))
		f.wanted[i], f.filled[i] = max(f.wanted[i], n), max(f.filled[i], n)
		f.least[i] = max(f.least[i], leastOf(cell))
		f.timed[i] = f.timed[i] || isTime(cell)
	}
}

// widths returns the widths with which a line fits, as far as possible; 0 is no limit. Columns lose space in this
// order: heads that are wider than their cells; columns that yield; dates, if there are kept columns; all other
// columns, down to keptWidth for kept ones; kept columns. The first column, which names the row, is the last to lose
// space.
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

// shrink takes space from the widest column above its floor (the last one of several) until a line fits or no column
// is above its floor.
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
