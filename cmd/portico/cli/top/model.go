package top

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"portico/health/admin"
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
)

// model is the state of the screen. It implements tea.Model.
type model struct {
	o             Options
	ctx           context.Context // ends with the screen
	width, height int

	shown  Snapshot
	asked  *admin.SessionQuery // for the sessions that are shown
	turn   int                 // number of the latest request
	busy   bool                // it is not answered yet
	at     time.Time           // when that was read; zero before the first time
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
		sessions *admin.SessionQuery // that were asked for
		err      error
		took     time.Duration
	}
	doneMsg struct {
		done string
		err  error
	}
	tickMsg struct{ turn int } // of the request before
)

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.read() }

// read asks the source for what the screen shows now.
func (m *model) read() tea.Cmd {
	m.turn++
	m.busy = true
	sessions := m.sessions()
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, readTimeout)
		defer cancel()
		began := m.o.Now()
		s, err := m.o.Source.Read(ctx, sessions)
		return readMsg{s, sessions, err, m.o.Now().Sub(began)}
	}
}

// maxSessions bounds the sessions that are read where the first ones are enough.
const maxSessions = 200

// sessions asks for the sessions that the screen shows. Figures of users and a filter need all of them. For other
// views the nodes sort and cut, so that a screen of a busy node costs it little.
func (m *model) sessions() *admin.SessionQuery {
	by := m.orders[viewSessions]
	switch {
	case m.session != "":
		return &admin.SessionQuery{SessionFilter: admin.SessionFilter{Session: m.session}}
	case m.view == viewUsers, m.view == viewSessions && (m.filter != "" || m.typing):
		return &admin.SessionQuery{}
	case m.view != viewSessions:
		return nil
	}
	sort := sessionOrders[by.column]
	if field, down := strings.CutPrefix(sort, "-"); by.reverse && down {
		sort = field
	} else if by.reverse {
		sort = "-" + sort
	}
	return &admin.SessionQuery{Order: admin.Order{Sort: sort, Limit: maxSessions}}
}

// upToDate says whether the sessions that are shown are those that the screen wants.
func (m *model) upToDate() bool {
	wanted := m.sessions()
	return wanted == nil || m.asked != nil && *wanted == *m.asked
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
		cmd := m.key(msg)
		if cmd == nil && !m.busy && !m.upToDate() {
			return m, m.read()
		}
		return m, cmd
	case readMsg:
		m.busy = false
		m.take(msg)
		if msg.err == nil && !m.upToDate() { // keys were pressed meanwhile
			return m, m.read()
		}
		turn := m.turn
		return m, tea.Tick(admin.Pace(m.o.Interval, msg.took), func(time.Time) tea.Msg { return tickMsg{turn} })
	case tickMsg:
		if msg.turn == m.turn {
			return m, m.read()
		}
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
	m.shown, m.asked, m.at = msg.snapshot, msg.sessions, now
}
