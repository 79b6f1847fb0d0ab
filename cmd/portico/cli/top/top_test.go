package top

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"portico/backend/backendtest/testkit"
	"portico/health/admin"
	"portico/health/admin/table"
)

var update = flag.Bool("update-screens", false, "write the screens in testdata")

// sample is a snapshot of a site with two servers, of which mbx2 is slow; n is added to all numbers that grow.
func sample(n uint64) Snapshot {
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	s := Snapshot{
		Node: "mx1",
		Servers: admin.StatsFigures{Seconds: 15, Rows: []admin.StatsRow{
			{Name: "mbx1", Sessions: 3, Commands: 150, SignIns: 3, P50: 0.0008, P99: 0.0041},
			{Name: "mbx2", Sessions: 2, Queued: 2, Commands: 6, P50: 0.9, P99: 3.2,
				Refused: map[string]uint64{"server_timeout": 4}},
		}},
		Verbs: admin.StatsFigures{Seconds: 60, Rows: []admin.StatsRow{
			{Name: "NOOP", Commands: 600, P50: 0.0003, P95: 0.0005, P99: 0.0007, Mean: 0.0003},
			{Name: "UID SEARCH", Commands: 24, P50: 1.1, P95: 3, P99: 3.2, Mean: 1.4},
			{Name: "LOGOUT"},
		}},
		States: []admin.ServerState{{Name: "mbx1", State: "up"}, {Name: "mbx2", State: "up", Paused: 42},
			{Name: "mbx3", State: "down"}},
		Sessions: []admin.SessionState{
			{ID: "e93955bee4365018", User: "alice@example.org", Remote: "192.0.2.1:43176", Server: "mbx2", Open: 1,
				Listener: ":993", Database: "db2", Commands: 12 + n, Command: "IDLE", Age: 754, Idling: true,
				Silent: 700},
			{ID: "f0b93aa579b8e19d", User: "alice@example.org", Remote: "192.0.2.1:43170", Server: "mbx2", Open: 2,
				Listener: ":993", Database: "db2", Commands: 7, Command: "UID SEARCH", Age: 2.5, Waiting: 1,
				Oldest: 2.5},
			{ID: "c615109b2991caec", User: "bob@example.org", Remote: "192.0.2.2:43182", Server: "mbx1", Open: 1,
				Commands: 40 + 10*n, Command: "UID FETCH", Age: 0.3, Waiting: 0.4, Oldest: 0.12},
			{ID: "26b8e24657bea40c", User: "carol@example.org", Remote: "192.0.2.3:43184", Server: "mbx1"},
			{ID: "aa00000000000001", User: "eve\x1b[2J@example.org", Remote: "192.0.2.4:1", Server: "mbx1"},
		},
	}
	for i := range 60 {
		s.Trend.Points = append(s.Trend.Points, admin.StatsFigures{
			From: began, To: began.Add(10 * time.Second), Seconds: 10,
			Rows: []admin.StatsRow{{Name: ":993", Sessions: 5, Queued: 3, SignIns: 2,
				Refused: map[string]uint64{"bad_credential": 1}, Commands: uint64(i * 10),
				Buckets: []admin.StatsBucket{{Index: -40 + i/2, Count: uint64(i * 10)}}}},
		})
	}
	return s
}

// script is a Source that has snapshots, and notes what it is asked for and is to do.
type script struct {
	mu    sync.Mutex
	asked []string   // for sessions; "none" or the query
	reads []Snapshot // the last one again and again
	fails error
	did   []Action
}

func (s *script) Read(_ context.Context, sessions *admin.SessionQuery) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sessions == nil {
		s.asked = append(s.asked, "none")
	} else {
		s.asked = append(s.asked, sessions.Query().Encode())
	}
	next := s.reads[0]
	if len(s.reads) > 1 {
		s.reads = s.reads[1:]
	}
	return next, s.fails
}

func (s *script) Do(_ context.Context, a Action) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, a)
	return fmt.Sprintf("Did %+v.", a), s.fails
}

// screen is a model whose time and keys the test decides.
type screen struct {
	*model
	source *script
	now    time.Time
}

func newScreen(width, height int, ascii bool) *screen {
	s := &screen{source: &script{reads: []Snapshot{sample(0), sample(1), sample(2)}},
		now: time.Date(2026, 1, 2, 12, 34, 56, 0, time.UTC)}
	s.model = newModel(Options{Source: s.source, ASCII: ascii, Now: func() time.Time { return s.now }})
	s.ctx = context.Background()
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// read lets two seconds pass and reads.
func (s *screen) readOnce() {
	s.now = s.now.Add(2 * time.Second)
	s.Update(s.read()())
}

// press presses keys, and does what follows from the last one.
func (s *screen) press(keys ...string) {
	for _, key := range keys {
		code := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "down": tea.KeyDown, "up": tea.KeyUp,
			"end": tea.KeyEnd, "tab": tea.KeyTab, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown}[key]
		msg := tea.KeyPressMsg{Code: code}
		if code == 0 {
			msg = tea.KeyPressMsg{Code: []rune(key)[0], Text: key}
		}
		if _, cmd := s.Update(msg); cmd != nil {
			s.now = s.now.Add(2 * time.Second)
			s.Update(cmd())
		}
	}
}

// TestScreens compares screens with those in testdata, which people have read.
func TestScreens(t *testing.T) {
	for name, c := range map[string]struct {
		width, height int
		ascii         bool
		change        func(s *screen)
		keys          string
	}{
		"servers":          {width: 80, height: 24},
		"servers-wide":     {width: 120, height: 30},
		"servers-narrow":   {width: 40, height: 12},
		"ascii":            {width: 80, height: 24, ascii: true, keys: "4"},
		"commands":         {width: 80, height: 24, keys: "2"},
		"users":            {width: 80, height: 24, keys: "3"},
		"users-reversed":   {width: 80, height: 24, keys: "3 r down"},
		"sessions":         {width: 80, height: 24, keys: "4"},
		"sessions-by-user": {width: 80, height: 24, keys: "4 s s s s"},
		"filter-typed":     {width: 80, height: 24, keys: "4 / b o x backspace"},
		"filtered":         {width: 80, height: 24, keys: "4 / b o b enter"},
		"filtered-away":    {width: 80, height: 24, keys: "4 / z z enter"},
		"session":          {width: 80, height: 24, keys: "4 down enter"},
		"session-idle":     {width: 80, height: 24, keys: "4 / I D L E enter enter"},
		"user-sessions":    {width: 80, height: 24, keys: "3 enter"},
		"asks-to-kick":     {width: 80, height: 24, keys: "4 k"},
		"asks-to-pause":    {width: 80, height: 24, keys: "1 end p"},
		"done":             {width: 80, height: 24, keys: "3 l y"},
		"no-answer": {width: 80, height: 24, change: func(s *screen) {
			s.source.fails = errors.New("no Portico answers at /run/portico/admin.sock: the socket does not exist")
			s.readOnce()
		}},
		"missing": {width: 80, height: 24, change: func(s *screen) {
			s.shown.Missing = []string{"mx2: no answer in 2s"}
		}},
		"session-ended": {width: 80, height: 24, keys: "4 enter", change: func(s *screen) {
			s.shown.Sessions = s.shown.Sessions[3:]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(c.width, c.height, c.ascii)
			s.readOnce()
			s.readOnce()
			s.press(strings.Fields(c.keys)...)
			if c.change != nil {
				c.change(s)
			}
			wantScreen(t, name, s)
		})
	}
	asking := newScreen(80, 24, false)
	wantScreen(t, "asking", asking)
}

func wantScreen(t *testing.T, name string, s *screen) {
	t.Helper()
	lines := s.lines()
	if len(lines) != s.height {
		t.Errorf("%d lines", len(lines))
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
		if n := utf8.RuneCountInString(line); n > s.width || strings.ContainsRune(line, '\x1b') {
			t.Errorf("%d columns: %q", n, line)
		}
		if s.o.ASCII && strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("not ASCII: %q", line)
		}
	}
	got := strings.Join(lines, "\n") + "\n"
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the screen is\n%s\nwant\n%s", got, want)
	}
}

// A view asks for the sessions that it shows at once, in its order and no more, and for none where it shows none.
func TestSessionsAsked(t *testing.T) {
	for keys, want := range map[string]string{
		"":                     "none",
		"2":                    "none",
		"3":                    "",
		"4":                    "limit=200&sort=-Busy",
		"4 r":                  "limit=200&sort=Busy",
		"4 s":                  "limit=200&sort=-Waiting",
		"4 s s s s":            "limit=200&sort=User",
		"4 s s s s r":          "limit=200&sort=-User",
		"4 /":                  "",
		"4 / b enter":          "",
		"4 / b enter esc":      "limit=200&sort=-Busy",
		"4 enter":              "session=f0b93aa579b8e19d",
		"4 enter esc":          "limit=200&sort=-Busy",
		"1 down enter":         "",
		"4 down up pgdown 4 4": "limit=200&sort=-Busy",
	} {
		s := newScreen(80, 24, false)
		s.readOnce()
		s.press(strings.Fields(keys)...)
		if got := s.source.asked[len(s.source.asked)-1]; got != want {
			t.Errorf("%s: asked for sessions %q, want %q", keys, got, want)
		}
	}
	s := newScreen(80, 24, false)
	s.readOnce()
	s.press("4", "down", "up", "k", "n", "2", "1")
	if got := strings.Join(s.source.asked, " "); got != "none limit=200&sort=-Busy" {
		t.Errorf("asked for %q: keys that show nothing else ask for nothing", got)
	}
	if _, cmd := s.Update(tickMsg{s.turn - 1}); cmd != nil {
		t.Error("a reading follows from a tick before the latest one")
	}
	slow := s.read() // in the view of servers
	s.press("4")     // nothing is asked while an answer is due
	if _, cmd := s.Update(slow()); cmd == nil || s.asked != nil || !s.busy {
		t.Error("the sessions are not asked for after the answer that was due")
	}
	s.shown.Sessions = nil
	if text := strings.Join(s.lines(), "\n"); !strings.Contains(text, "  Asking.") {
		t.Errorf("before the sessions have come:\n%s", text)
	}
	s.shown.Sessions = make([]admin.SessionState, maxSessions)
	s.asked = s.sessions()
	if line := s.tabs(); !strings.HasSuffix(line, ", first 200") {
		t.Error(line)
	}
}

// Nothing is done before the answer is y.
func TestActions(t *testing.T) {
	for keys, want := range map[string]Action{
		"4 k y":             {Kind: Kick, Session: "f0b93aa579b8e19d", User: "alice@example.org"},
		"4 enter k y":       {Kind: Kick, Session: "f0b93aa579b8e19d", User: "alice@example.org"},
		"4 l y":             {Kind: Log, User: "alice@example.org"},
		"3 k y":             {Kind: Kick, User: "alice@example.org"},
		"3 down l y":        {Kind: Log, User: "bob@example.org"},
		"1 p y":             {Kind: Resume, Server: "mbx2"}, // it is paused
		"1 down p y":        {Kind: Pause, Server: "mbx1"},
		"4 k n":             {},
		"4 k enter":         {},
		"4 k q":             {}, // q is an answer here
		"4 p y":             {}, // sessions cannot be paused
		"2 k y":             {}, // nor commands ended
		"1 k y":             {},
		"4 / z z enter k y": {}, // no row
	} {
		s := newScreen(80, 24, false)
		s.readOnce()
		s.press(strings.Fields(keys)...)
		if want == (Action{}) {
			if len(s.source.did) > 0 {
				t.Errorf("%s: did %+v", keys, s.source.did)
			}
			continue
		}
		if !slices.Equal(s.source.did, []Action{want}) {
			t.Errorf("%s: did %+v, want %+v", keys, s.source.did, want)
		}
	}
	s := newScreen(80, 24, false)
	s.readOnce()
	s.source.fails = errors.New("it needs a token")
	s.press("4", "k", "y")
	if s.note != "Not done: it needs a token" {
		t.Errorf("a failure is shown as %q", s.note)
	}
}

// The selected row stays selected when the order changes, and when it goes, the first one is selected.
func TestSelection(t *testing.T) {
	s := newScreen(80, 24, false)
	s.readOnce()
	s.press("4", "down")
	name := s.current()
	s.press("r")
	if s.current() != name {
		t.Errorf("%s is selected, before %s", s.current(), name)
	}
	s.shown.Sessions = slices.DeleteFunc(s.shown.Sessions,
		func(session admin.SessionState) bool { return session.ID == name })
	if rows := s.rows(); s.current() != rows[0].name {
		t.Errorf("%s is selected", s.current())
	}
	s.shown.Sessions = nil
	s.press("down", "enter", "k")
	if s.current() != "" || s.asking != nil {
		t.Errorf("%q is selected of nothing", s.current())
	}
}

// Many rows scroll with the selection.
func TestScroll(t *testing.T) {
	s := newScreen(80, 24, false)
	for i := range 1000 {
		s.source.reads[0].Sessions = append(s.source.reads[0].Sessions,
			admin.SessionState{ID: fmt.Sprintf("%016d", i), User: fmt.Sprintf("user%04d", i)})
	}
	s.source.reads = s.source.reads[:1]
	s.readOnce()
	s.press("4", "end")
	if text := strings.Join(s.lines(), "\n"); !strings.Contains(text, "\n> "+s.current()) {
		t.Errorf("the last row is not shown:\n%s", text)
	}
	s.press("/", "0", "9", "9", "9", "enter")
	if rows := s.rows(); len(rows) != 1 || !strings.Contains(strings.Join(s.lines(), "\n"), "user0999") {
		t.Errorf("%d rows", len(rows))
	}
}

// TestProgram runs the screen on a terminal that is a buffer, until the person quits.
func TestProgram(t *testing.T) {
	testkit.NoLeaks(t)
	keys, typed := io.Pipe()
	out := &testkit.Log{}
	ended := make(chan error, 1)
	source := &script{reads: []Snapshot{sample(0)}}
	go func() {
		ended <- Run(t.Context(), Options{Source: source, In: keys, Out: out, Interval: time.Second, Now: time.Now},
			tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm", "NO_COLOR=1"}))
	}()
	testkit.Eventually(t, "the screen shows servers", func() bool { return strings.Contains(out.String(), "mbx2") })
	typed.Write([]byte("4"))
	testkit.Eventually(t, "the screen shows sessions",
		func() bool { return strings.Contains(out.String(), "UID SEARCH") })
	typed.Write([]byte("q"))
	if err := <-ended; err != nil {
		t.Error(err)
	}
	typed.Close() // a terminal's reader ends by itself
}

// The same is printed once as text.
func TestOnce(t *testing.T) {
	totals, tables := Once(sample(0), sample(1), 2*time.Second)
	if want := "5 sessions, 3 queued, commands 59.0/s"; !strings.HasPrefix(totals, want) {
		t.Errorf("%q, want %q", totals, want)
	}
	var text bytes.Buffer
	for _, rows := range tables {
		fmt.Fprintln(&text)
		if err := rows.Write(&text, table.Style{Form: table.Plain}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"mbx3", "UID SEARCH", "5.00/s", "f0b93aa579b8e19d"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

// While no command is answered there is no P99: a time of 0 would look fast.
func TestNothingAnswered(t *testing.T) {
	s := sample(0)
	s.Trend.Points[len(s.Trend.Points)-1].Rows[0].Buckets = nil
	if totals, _ := Once(s, s, time.Second); !strings.Contains(totals, "commands 0/s, P99 -, ") {
		t.Error(totals)
	}
}
