package top

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/proxy/wire"
)

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// Lines around the rows: four of figures, an empty one, the tabs, the heads; the note and the keys.
const (
	linesAbove = 7
	linesBelow = 2
)

// room is how many rows the screen has room for.
func (m *model) room() int { return max(m.height-linesAbove-linesBelow, 1) }

// lines returns the screen, cut to its size. The selected row is marked by a sign, so it needs no colours.
func (m *model) lines() []string {
	lines := append(m.figures(), "", m.tabs())
	switch {
	case m.at.IsZero():
	case m.session != "":
		lines = append(lines, m.sessionLines()...)
	default:
		lines = append(lines, m.rowLines()...)
	}
	for len(lines) < m.height-linesBelow {
		lines = append(lines, "")
	}
	lines = append(lines[:max(m.height-linesBelow, 0)], m.noteLine(), m.keysLine())
	for i, line := range lines {
		lines[i] = table.Cut(line, m.width)
		if m.o.ASCII {
			lines[i] = strings.Map(ascii, lines[i])
		}
	}
	return lines
}

// ascii replaces what a terminal without UTF-8 does not have; the mark of a cut is the only sign of our own.
func ascii(r rune) rune {
	switch {
	case r == '…':
		return '~'
	case r > '~':
		return '?'
	}
	return r
}

// figures are the lines about everything together.
func (m *model) figures() []string {
	title := "portico top"
	if m.at.IsZero() && m.failed == nil {
		return []string{title + ": asking", "", "", ""}
	}
	if !m.at.IsZero() {
		title += fmt.Sprintf(": %s, %s", wire.Visible(m.shown.Node), m.at.Format("15:04:05"))
	}
	now, rates, p99 := m.totals()
	return []string{title, now, m.spark("commands/s", rates, table.Rate(last(rates))),
		m.spark("p99", p99, shownTime(last(p99)))}
}

// totals returns the figures of now in a line, and commands a second and P99 of the last minutes.
func (m *model) totals() (now string, rates, p99 []float64) {
	var latest admin.StatsRow
	var span float64
	for _, p := range m.shown.Trend.Points {
		sum := p.Total()
		rates = append(rates, float64(sum.Commands)/max(p.Seconds, 1))
		p99 = append(p99, sum.P99)
		latest, span = sum, p.Seconds
	}
	return fmt.Sprintf("%d sessions, %d queued, commands %s, P99 %s, sign-ins %s, %d refused", latest.Sessions,
		latest.Queued, table.Rate(last(rates)), shownTime(latest.P99),
		table.Rate(float64(latest.SignIns)/max(span, 1)), latest.RefusedSignIns()), rates, p99
}

// shownTime is a server time in words. It is 0 if no command was answered.
func shownTime(s float64) string {
	if s == 0 {
		return "-"
	}
	return table.Latency(seconds(s))
}

func last(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)-1]
}

// spark is a line with a figure's course in the last minutes.
func (m *model) spark(name string, values []float64, now string) string {
	const around = 24
	values = values[max(0, len(values)-max(m.width-around, 1)):]
	return fmt.Sprintf("%-11s %s %s", name, table.Spark(values, m.o.ASCII), now)
}

// tabs is the line that names the views, the order and the filter. The current view stands in brackets.
func (m *model) tabs() string {
	var line strings.Builder
	for v := range views {
		form := "%d %s  "
		if viewKind(v) == m.view {
			form = "[%d %s]  "
		}
		fmt.Fprintf(&line, form, v+1, views[v].title)
	}
	by := m.orders[m.view]
	fmt.Fprintf(&line, "by %s", views[m.view].heads[by.column])
	if by.reverse {
		line.WriteString(", reversed")
	}
	if m.filter != "" && !m.typing {
		fmt.Fprintf(&line, ", with %q", m.filter)
	}
	if m.view == viewSessions && m.asked != nil && m.asked.Limit > 0 && len(m.shown.Sessions) >= m.asked.Limit {
		fmt.Fprintf(&line, ", first %d", m.asked.Limit)
	}
	return line.String()
}

// rowLines are the heads and the rows from which the selected one can be seen.
func (m *model) rowLines() []string {
	rows := m.rows()
	switch {
	case len(rows) == 0 && !m.upToDate():
		return []string{"", "  Asking."}
	case len(rows) == 0:
		return []string{"", "  There are none."}
	}
	at := m.cursor(rows)
	first := max(0, min(at-m.room()/2, len(rows)-m.room()))
	shown := rows[first:min(first+m.room(), len(rows))]
	var text bytes.Buffer // it takes everything
	m.table(shown).Write(&text, table.Style{Form: table.Plain, Width: m.width - len(unmarked)}, nil)
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	for i := range lines {
		mark := unmarked
		if i == at-first+1 { // below the heads
			mark = marked
		}
		lines[i] = mark + lines[i]
	}
	return lines
}

// table is rows of the view under their heads.
func (m *model) table(rows []row) *table.Table {
	t := table.New(views[m.view].heads...).Keep(views[m.view].kept...)
	for _, r := range rows {
		cells := make([]string, len(r.cells))
		for i, c := range r.cells {
			cells[i] = c.text
		}
		t.Add(cells...)
	}
	return t
}

// What stands in front of rows.
const (
	marked   = "> "
	unmarked = "  "
)

// sessionLines show the session that is looked into.
func (m *model) sessionLines() []string {
	s := m.selectedSession()
	switch {
	case s == nil && !m.upToDate():
		return []string{"", "  Asking."}
	case s == nil:
		return []string{"", "  Session " + wire.Visible(m.session) + " has ended."}
	}
	command := "none"
	if s.Open > 0 {
		command = fmt.Sprintf("%s for %v", s.Command, seconds(s.Age).Round(time.Second/10))
		if s.Idling {
			command += ", waits for mail"
		} else {
			command += fmt.Sprintf(", %.0f%% of it for the mailbox server", 100*s.Waiting)
		}
	}
	lines := []string{""}
	for _, field := range [][2]string{
		{"Session", s.ID}, {"User", s.User}, {"Client", s.Remote}, {"Listener", s.Listener}, {"Server", s.Server},
		{"Database", s.Database}, {"Command", command}, {"Open", strconv.Itoa(s.Open)},
		{"Answered", strconv.FormatUint(s.Commands, 10)},
		{"Silent", seconds(s.Silent).Round(time.Second).String()},
	} {
		lines = append(lines, fmt.Sprintf("  %-9s %s", field[0], wire.Visible(field[1])))
	}
	if s.Node != "" {
		lines = append(lines, "  Node      "+wire.Visible(s.Node))
	}
	return lines
}

// noteLine is the line for questions, what was done, and what is wrong.
func (m *model) noteLine() string {
	switch {
	case m.asking != nil:
		return wire.Visible(question(*m.asking)) + " [y/n]"
	case m.typing:
		return "Only rows with: " + m.filter + "_"
	case m.failed != nil:
		return fmt.Sprintf("No answer since %s: %s", m.since.Format("15:04:05"), wire.Visible(m.failed.Error()))
	case m.note != "":
		return wire.Visible(m.note)
	case len(m.shown.Missing) > 0:
		return "Without " + wire.Visible(strings.Join(m.shown.Missing, "; "))
	}
	return ""
}

// keysLine says what the keys do here.
func (m *model) keysLine() string {
	switch {
	case m.asking != nil:
		return "y yes  any other key no"
	case m.typing:
		return "Enter done  Esc all rows"
	case m.session != "":
		return "Esc back  k end this session  l log this user  q quit"
	}
	own := map[viewKind]string{
		viewServers:  "p pause  Enter sessions",
		viewVerbs:    "Enter sessions",
		viewUsers:    "k end all  l log  Enter sessions",
		viewSessions: "k end  l log user  Enter details",
	}
	return "1-4 view  s sort  r reverse  / filter  " + own[m.view] + "  q quit"
}
