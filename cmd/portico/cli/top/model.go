package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
)

// The size of a screen that does not report one.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// Bounds of requests.
const (
	readTimeout = 5 * time.Second
	doTimeout   = 30 * time.Second
	// restShare is how many times as long as a request the screen waits before the next one, so that it never keeps a
	// busy node busier.
	restShare = 4
)

// model is the state of the screen. It implements tea.Model.
type model struct {
	o             Options
	ctx           context.Context // ends with the screen
	width, height int

	shown  Snapshot
	at     time.Time // when that was read; zero before the first time
	users  []userFigures
	before map[string]uint64 // commands of each session in the snapshot before
	failed error             // of the last request, nil if it succeeded
	since  time.Time         // when requests began to fail

	view     viewKind
	orders   [numViews]order
	selected [numViews]string // the name of the row
	filter   string
	typing   bool    // the filter
	session  string  // that is looked into; "" for none
	asking   *Action // waits for an answer
	note     string  // what the last action has done
}

// order is how a view is sorted.
type order struct {
	column  int
	reverse bool
}

func newModel(o Options) *model {
	m := &model{o: o, width: defaultWidth, height: defaultHeight}
	for v := range m.orders {
		m.orders[v].column = views[v].order[0]
	}
	return m
}

// The messages: what was read or done, and that it is time to read again.
type (
	readMsg struct {
		snapshot Snapshot
		err      error
		took     time.Duration
	}
	doneMsg struct {
		done string
		err  error
	}
	tickMsg struct{}
)

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.read }

// read asks the source.
func (m *model) read() tea.Msg {
	ctx, cancel := context.WithTimeout(m.ctx, readTimeout)
	defer cancel()
	began := m.o.Now()
	s, err := m.o.Source.Read(ctx)
	return readMsg{s, err, m.o.Now().Sub(began)}
}

// do asks the source to do something.
func (m *model) do(a Action) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, doTimeout)
		defer cancel()
		done, err := m.o.Source.Do(ctx, a)
		return doneMsg{done, err}
	}
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 20), max(msg.Height, 5)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case readMsg:
		m.take(msg)
		return m, tea.Tick(max(m.o.Interval, restShare*msg.took), func(time.Time) tea.Msg { return tickMsg{} })
	case tickMsg:
		return m, m.read
	case doneMsg:
		m.note = msg.done
		if msg.err != nil {
			m.note = "Not done: " + msg.err.Error()
		}
	}
	return m, nil
}

// take shows what was read. If nothing was, what was read before stays.
func (m *model) take(msg readMsg) {
	now := m.o.Now()
	if msg.err != nil {
		if m.failed == nil {
			m.since = now
		}
		m.failed = msg.err
		return
	}
	m.failed = nil
	m.users = usersOf(msg.snapshot.Sessions, m.before, now.Sub(m.at))
	m.before = make(map[string]uint64, len(msg.snapshot.Sessions))
	for _, s := range msg.snapshot.Sessions {
		m.before[s.ID] = s.Commands
	}
	m.shown, m.at = msg.snapshot, now
}
