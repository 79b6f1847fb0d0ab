package top

import (
	"time"

	"portico/health/admin/table"
)

// onceRows is how many rows of each view Once has.
const onceRows = 20

// Once returns what the screen would show of two snapshots, as a line and a table for each view; the last one has the
// sessions. ago is the time between the two.
func Once(before, now Snapshot, ago time.Duration) (totals string, tables []*table.Table) {
	clock := time.Time{}.Add(time.Hour)
	m := newModel(Options{Now: func() time.Time { return clock }})
	m.take(readMsg{snapshot: before})
	clock = clock.Add(ago)
	m.take(readMsg{snapshot: now})
	totals, _, _ = m.totals()
	for v := range views {
		m.view = viewKind(v)
		rows := m.rows()
		tables = append(tables, m.table(rows[:min(len(rows), onceRows)]))
	}
	return totals, tables
}
