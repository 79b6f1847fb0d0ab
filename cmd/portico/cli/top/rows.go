package top

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/health/admin"
	"portico/health/admin/table"
)

// viewKind is one of the views.
type viewKind uint8

const (
	viewServers viewKind = iota
	viewVerbs
	viewUsers
	viewSessions
	numViews
)

// views describe the views.
var views = [numViews]struct {
	title string
	heads []string
	kept  []string // the heads that lose space last
	order []int    // columns by which rows are sorted at first, and where the chosen column has the same
	rows  func(*model) []row
}{
	viewServers: {"servers",
		[]string{"Server", "State", "Sessions", "Commands", "P50", "P99", "Queued", "SignIns", "Refused"},
		[]string{"Server", "Commands", "P99", "Queued"}, []int{5, 3}, (*model).serverRows},
	viewVerbs: {"commands", []string{"Command", "Rate", "P50", "P95", "P99", "Mean", "Number"}, nil, []int{1},
		(*model).verbRows},
	viewUsers: {"users", []string{"User", "Sessions", "Commands", "Open", "Longest", "Servers"},
		[]string{"User", "Commands", "Longest"}, []int{4, 2}, (*model).userRows},
	viewSessions: {"sessions", []string{"Session", "User", "Server", "Command", "For", "Waiting", "Client"},
		[]string{"User", "Command", "For"}, []int{4, 5}, (*model).sessionRows},
}

// sessionOrders are the fields by which nodes sort sessions, for each column of that view. Busy is For, without
// sessions that wait for mail.
var sessionOrders = []string{"Session", "User", "Server", "Command", "-Busy", "-Waiting", "Client"}

// row is a row of a view.
type row struct {
	name  string
	cells []cell
}

// cell is a text with the number by which it is sorted, if it has one.
type cell struct {
	text  string
	value float64
}

func textCell(text string) cell { return cell{text: text} }
func countCell(n float64) cell  { return cell{strconv.FormatFloat(n, 'f', -1, 64), n} }

// rows returns the rows of the view, filtered and sorted.
func (m *model) rows() []row {
	all := slices.DeleteFunc(views[m.view].rows(m), func(r row) bool { return !m.fits(r) })
	by := m.orders[m.view]
	columns := append([]int{by.column}, views[m.view].order...)
	slices.SortFunc(all, func(a, b row) int {
		for i, c := range columns {
			if d := compareCells(a.cells[c], b.cells[c]); d != 0 {
				if i == 0 && by.reverse {
					return -d
				}
				return d
			}
		}
		return strings.Compare(a.name, b.name)
	})
	return all
}

// compareCells puts greater numbers first, and texts in order.
func compareCells(a, b cell) int {
	if a.value != b.value {
		return cmp.Compare(b.value, a.value)
	}
	if a.value != 0 {
		return 0
	}
	return strings.Compare(a.text, b.text)
}

// fits says whether a cell of the row has the text of the filter.
func (m *model) fits(r row) bool {
	return slices.ContainsFunc(r.cells, func(c cell) bool {
		return strings.Contains(strings.ToLower(c.text), strings.ToLower(m.filter))
	})
}

func (m *model) serverRows() (rows []row) {
	figures := make(map[string]admin.StatsRow)
	for _, r := range m.shown.Servers.Rows {
		figures[r.Name] = r
	}
	states := make(map[string]string)
	for _, s := range m.shown.States {
		states[s.Name] = stateOf(s)
		if _, there := figures[s.Name]; !there {
			figures[s.Name] = admin.StatsRow{Name: s.Name}
		}
	}
	seconds := m.shown.Servers.Seconds
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		r := figures[name]
		rows = append(rows, row{name, []cell{textCell(name), textCell(states[name]), countCell(float64(r.Sessions)),
			rateCell(r.Commands, seconds), timeCell(r, r.P50), timeCell(r, r.P99), countCell(float64(r.Queued)),
			rateCell(r.SignIns, seconds), countCell(float64(r.RefusedSignIns()))}})
	}
	return rows
}

// stateOf is a mailbox server's state in a word.
func stateOf(s admin.ServerState) string {
	switch {
	case s.Paused > 0:
		return "paused"
	case s.Breaker:
		return "breaker"
	}
	return s.State
}

func (m *model) verbRows() (rows []row) {
	seconds := m.shown.Verbs.Seconds
	for _, r := range m.shown.Verbs.Rows {
		rows = append(rows, row{r.Name, []cell{textCell(r.Name), rateCell(r.Commands, seconds), timeCell(r, r.P50),
			timeCell(r, r.P95), timeCell(r, r.P99), timeCell(r, r.Mean), countCell(float64(r.Commands))}})
	}
	return rows
}

func (m *model) userRows() (rows []row) {
	for _, u := range m.users {
		waiting := cell{"-", u.waiting}
		if u.waiting > 0 {
			waiting.text = table.Latency(seconds(u.waiting))
		}
		rows = append(rows, row{u.name, []cell{textCell(u.name), countCell(float64(u.sessions)),
			{table.Rate(u.rate), u.rate}, countCell(float64(u.open)), waiting,
			textCell(strings.Join(u.servers, ", "))}})
	}
	return rows
}

func (m *model) sessionRows() (rows []row) {
	for _, s := range m.shown.Sessions {
		age, waiting := cell{"-", -1}, cell{"-", -1}
		if s.Open > 0 {
			age = cell{seconds(s.Age).Round(time.Second).String(), s.Age}
			waiting = cell{fmt.Sprintf("%.0f%%", 100*s.Waiting), s.Waiting}
		}
		if s.Idling { // it waits for mail, not for the server
			age.value, waiting = -1, cell{"-", -1}
		}
		rows = append(rows, row{s.ID, []cell{textCell(s.ID), textCell(s.User), textCell(s.Server), textCell(s.Command),
			age, waiting, textCell(s.Remote)}})
	}
	return rows
}

func rateCell(n uint64, seconds float64) cell {
	rate := float64(n) / max(seconds, 1)
	return cell{table.Rate(rate), rate}
}

// timeCell is a server time of a row. Without commands there is none.
func timeCell(r admin.StatsRow, s float64) cell {
	if r.Commands == 0 {
		return cell{"-", -1}
	}
	return cell{table.Latency(seconds(s)), s}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
