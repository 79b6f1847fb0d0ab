package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"portico/bench"
	"portico/health/admin/table"
)

// The size of a screen that does not report one.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// mostHistory is how many steps a line of the screen can show at most.
const mostHistory = 500

// model is the state of the screen. It implements tea.Model.
type model struct {
	options       Options
	width, height int
	progress      bench.Progress
	rows          []*row
	done          float64 // operations a second in the last step
	commands, p99 []float64
	ending        bool
}

// row is a row of the report so far, with its latencies in the last step.
type row struct {
	name          string
	operation     bool
	outcomes      bench.Outcomes
	perSecond     float64
	p50, p99, max time.Duration
}

func newModel(o Options) *model {
	return &model{options: o, width: defaultWidth, height: defaultHeight}
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 20), max(msg.Height, 5)
	case tea.KeyPressMsg:
		if key := msg.String(); key == "q" || key == "ctrl+c" {
			m.ending = true
			m.options.End()
		}
	case step:
		m.take(msg)
	}
	return m, nil
}

// take adds a step of the run.
func (m *model) take(s step) {
	m.progress = s.progress
	seconds := s.interval.To.Sub(s.interval.From).Seconds()
	for _, r := range m.rows {
		r.perSecond, r.p50, r.p99, r.max = 0, 0, 0, 0
	}
	m.done = 0
	for _, in := range s.interval.Rows {
		r := m.row(in)
		r.outcomes = r.outcomes.Plus(in.Outcomes)
		us := func(v int64) time.Duration { return time.Duration(v) * time.Microsecond }
		r.p50, r.p99 = us(in.Latencies.ValueAtQuantile(50)), us(in.Latencies.ValueAtQuantile(99))
		r.max = us(in.Latencies.Max())
		if seconds > 0 {
			r.perSecond = float64(in.Outcomes.Done) / seconds
		}
		if in.Operation {
			m.done += r.perSecond
		}
	}
	m.commands = keep(m.commands, s.progress.PerSecond)
	m.p99 = keep(m.p99, float64(s.progress.P99))
}

// row returns the row of that name. Operations come first, then their parts in order of appearance.
func (m *model) row(in bench.IntervalRow) *row {
	for _, r := range m.rows {
		if r.name == in.Name {
			return r
		}
	}
	r := &row{name: in.Name, operation: in.Operation}
	m.rows = append(m.rows, r)
	slices.SortStableFunc(m.rows, func(a, b *row) int { return cmp.Compare(b2i(b.operation), b2i(a.operation)) })
	return r
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func keep(values []float64, v float64) []float64 {
	values = append(values, v)
	return values[max(0, len(values)-mostHistory):]
}

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// lines returns the screen, cut to its size.
func (m *model) lines() []string {
	p := &m.progress
	lines := []string{
		m.options.Title, m.phase(),
		fmt.Sprintf("%d sessions, %.0f operations/s, %.0f commands/s, %d behind, %d errors", p.Sessions, m.done,
			p.PerSecond, p.Behind, p.Errors),
		"",
		m.spark("commands/s", m.commands, func(v float64) string { return fmt.Sprintf("%.0f", v) }),
		m.spark("p99", m.p99, func(v float64) string { return span(time.Duration(v)) }),
		"",
		fmt.Sprintf("%-18s %10s %9s %9s %9s %9s %9s", "last step", "done/s", "p50", "p99", "max", "all done",
			"not done"),
	}
	room := m.height - len(lines) - 2
	for i, r := range m.rows {
		if i == room-1 && len(m.rows) > room {
			lines = append(lines, fmt.Sprintf("... and %d more", len(m.rows)-i))
			break
		}
		if i >= room {
			break
		}
		lines = append(lines, fmt.Sprintf("%-18s %10.1f %9s %9s %9s %9d %9d",
			r.name, r.perSecond, span(r.p50), span(r.p99), span(r.max), r.outcomes.Done+r.outcomes.DoneAfterEnd,
			r.outcomes.Bad()))
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, m.height-1)], "q ends the run early; the report follows")
	for i, line := range lines {
		lines[i] = cut(line, m.width)
	}
	return lines
}

func (m *model) phase() string {
	p := &m.progress
	left := p.Left.Round(time.Second)
	switch {
	case m.ending:
		return "ending: waiting for what is under way; q again cuts it"
	case p.WarmingUp:
		return fmt.Sprintf("warming up, %v left", left)
	case p.Measuring && p.Left > 0:
		return fmt.Sprintf("measuring, %v left", left)
	case p.Measuring:
		return "waiting for what is under way"
	}
	return "signing in"
}

// spark draws the latest steps of a figure in one line.
func (m *model) spark(name string, values []float64, text func(float64) string) string {
	const label, figure = 12, 12
	values = values[max(0, len(values)-max(m.width-label-figure, 1)):]
	last := ""
	if len(values) > 0 {
		last = text(values[len(values)-1])
	}
	return fmt.Sprintf("%-11s %s %s", name, table.Spark(values, m.options.ASCII), last)
}

// span formats a latency with three digits; none is "".
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%d us", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

// cut shortens a line to a width.
func cut(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width])
	}
	return line
}
