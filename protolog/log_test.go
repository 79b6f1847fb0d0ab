package protolog

import (
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/proxy/wire"
)

// clock is a time that only the test moves.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.at.Store(t.UnixNano())
	return c
}

func (c *clock) now() time.Time { return time.Unix(0, c.at.Load()).UTC() }

func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }

// say puts an event of a session into a loop's ring, as the proxy does.
func say(l *Log, loop int, s Subject, command string, took time.Duration) bool {
	m := l.Match(s)
	if m == nil || !m.Wants(command, took) {
		return false
	}
	e := l.Ring(loop).Slot()
	if e == nil {
		return false
	}
	e.Session, e.Time, e.Command, e.Duration = l.Session(s), l.opt.Now(), command, took
	m.Mark(e)
	l.Ring(loop).Put()
	return true
}

// rowsIn reads the files of a folder.
func rowsIn(t testing.TB, dir string) (rows [][]string, lost []string) {
	t.Helper()
	names, err := listFiles(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name.String()))
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			t.Errorf("%s ends in %q", name, text[max(0, len(text)-30):])
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				if strings.HasPrefix(line, "#Lost") {
					lost = append(lost, strings.TrimSpace(line))
				}
				continue
			}
			row, err := csv.NewReader(strings.NewReader(line)).Read()
			if err != nil || len(row) != numFields {
				t.Errorf("%s has %q: %v", name, line, err)
			}
			rows = append(rows, row)
		}
	}
	return rows, lost
}

// commandsIn lists the commands of a folder's rows.
func commandsIn(t testing.TB, dir string) string {
	t.Helper()
	rows, _ := rowsIn(t, dir)
	var all []string
	for _, row := range rows {
		all = append(all, row[9])
	}
	return strings.Join(all, " ")
}

func (l *Log) dir() string { return l.writer.location() }

// comes waits until the files have these commands.
func (l *Log) comes(t testing.TB, want string) {
	t.Helper()
	testkit.Eventually(t, "the files have "+want, func() bool { return commandsIn(t, l.dir()) == want })
}

func TestNothingIsMadeWhileOff(t *testing.T) {
	testkit.NoLeaks(t)
	l := newTestLog(t)
	if l.On() || l.Match(testSubject) != nil || say(l, 0, testSubject, "noop", 0) {
		t.Error("something is asked for")
	}
	l.Close()
	if _, err := os.Stat(l.dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a folder: %v", err)
	}
	if l.rings[0].events != nil {
		t.Error("there is a ring")
	}
}

func TestRules(t *testing.T) {
	testkit.NoLeaks(t)
	c := newClock(noon)
	l := newTestLog(t, func(o *Options) { o.Now = c.now })
	bob := testSubject
	bob.User, bob.ID, bob.Server = "bob", "fedcba9876543210", "mbx2"
	l.SetRules([]Rule{
		{ID: "r1", Filter: Filter{User: "ANN@*", Command: "fetch"}, Until: noon.Add(time.Minute)},
		{ID: "r2", Filter: Filter{Server: "mbx2", Slower: time.Second}},
		{ID: "r3", Filter: Filter{User: "ann@*"}, Until: noon}, // over
		{ID: "r4", Filter: Filter{IP: "nonsense"}},
	})
	<-l.Changed()
	if rules := l.Rules(); len(rules) != 2 || rules[0].ID != "r1" || rules[1].ID != "r2" {
		t.Fatalf("in force are %+v", rules)
	}
	for i, test := range []struct {
		subject Subject
		command string
		took    time.Duration
		want    bool
	}{
		{testSubject, "fetch", 0, true}, {testSubject, "uid fetch", 0, true}, {testSubject, "noop", 0, false},
		{testSubject, "noop", time.Hour, false},
		{bob, "fetch", 0, false}, {bob, "select", time.Second, true},
	} {
		if got := say(l, i%2, test.subject, test.command, test.took); got != test.want {
			t.Errorf("%s of %s after %v: %v", test.command, test.subject.User, test.took, got)
		}
		c.move(time.Millisecond)
	}
	l.comes(t, "fetch uid fetch select")
	c.move(time.Minute)
	<-l.Changed() // by itself
	if say(l, 0, testSubject, "fetch", 0) || len(l.Rules()) != 1 {
		t.Error("a rule is in force after its end")
	}
	l.Configure(Settings{Enabled: true, Files: FileSettings{Location: l.dir()}})
	<-l.Changed()
	if !say(l, 0, testSubject, "noop", 0) || len(l.Rules()) != 2 {
		t.Error("the setting is not in force")
	}
	l.comes(t, "fetch uid fetch select noop")
}

func TestFilters(t *testing.T) {
	for _, test := range []struct {
		filter Filter
		fits   bool
	}{
		{Filter{}, true}, {Filter{User: "ann@example.org"}, true}, {Filter{User: "Ann@EXAMPLE.org"}, true},
		{Filter{User: "ann"}, false},
		{Filter{User: "*"}, true}, {Filter{User: "a*n?example*.org"}, true}, {Filter{User: "*bob*"}, false},
		{Filter{IP: "192.0.2.7"}, true}, {Filter{IP: "192.0.2.0/24"}, true}, {Filter{IP: "192.0.2.9/24"}, true},
		{Filter{IP: "192.0.3.0/24"}, false},
		{Filter{IP: "2001:db8::/32"}, false}, {Filter{Server: "mbx1"}, true}, {Filter{Server: "mbx"}, false},
		{Filter{Session: "0123456789ABCDEF"}, true}, {Filter{Session: "0"}, false},
		{Filter{User: "ann*", Server: "mbx2"}, false},
	} {
		f, err := test.filter.compile()
		if err != nil {
			t.Fatal(err)
		}
		if f.fits(testSubject) != test.fits {
			t.Errorf("%+v: %v", test.filter, !test.fits)
		}
	}
	for _, bad := range []Filter{{IP: "192.0.2"}, {IP: "192.0.2.0/33"}, {Slower: -1},
		{User: strings.Repeat("x", maxPattern+1)}} {
		if CheckRule(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"**", "ab", true}, {"a*b*c", "axxbyybzc", true},
		{"a*b*c", "axxbyybz", false},
		{"?", "", false}, {"?a*", "ba", true}, {"*ab", "aab", true}, {"*ab", "aba", false}, {"a", "ab", false},
	} {
		if Glob(test.pattern, test.text) != test.want {
			t.Errorf("%q, %q: %v", test.pattern, test.text, !test.want)
		}
	}
}

// What a session does before it is known whose it is, is told once to everybody who wants it then.
func TestSetUpIsToldWhenItIsKnown(t *testing.T) {
	testkit.NoLeaks(t)
	l := newTestLog(t)
	all, err := l.Tail(Filter{}, CSV)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	ann, err := l.Tail(Filter{User: "ann*"}, CSV)
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	l.SetRules([]Rule{{ID: "r1", Filter: Filter{User: "ann*"}}, {ID: "r2", Filter: Filter{Server: "mbx1"}}})
	unknown := testSubject
	unknown.User, unknown.Server = "", ""
	early := func(command string) Event {
		return Event{Session: l.Session(unknown), Time: time.Now(), Command: command}
	}
	up := l.SetUp()
	up.Note(unknown, early("OpenSession"))
	up.Note(unknown, early("capability"))
	seen := tailed{t: t, tail: all}
	seen.comes("OpenSession capability")
	known := unknown
	known.User = "ann@example.org"
	up.Note(known, early("login"))
	known.Server = "mbx1"
	up.Note(known, early("noop"))
	l.comes(t, "OpenSession capability login noop")
	seen.comes("OpenSession capability login noop")
	(&tailed{t: t, tail: ann}).comes("OpenSession capability login noop")
	rows, _ := rowsIn(t, l.dir())
	if rows[0][5] != "" {
		t.Errorf("user %q before the sign-in", rows[0][5])
	}
	if up.pending != nil {
		t.Errorf("%d events wait for what is known", len(up.pending))
	}
	endless := l.SetUp()
	for range 3 * maxPending {
		endless.Note(unknown, early("noop"))
	}
	if len(endless.pending) != maxPending {
		t.Errorf("%d events wait", len(endless.pending))
	}
}

// Of the events before a session's user is known, the first 64 are kept for a rule about that user.
func TestMostEventsThatWait(t *testing.T) {
	testkit.NoLeaks(t)
	for early, want := range map[int]int{63: 64, 64: 65, 65: 65, 200: 65} {
		l := newTestLog(t)
		l.SetRules([]Rule{{ID: "r1", Filter: Filter{User: "ann*"}}})
		known, unknown := testSubject, testSubject
		unknown.User = ""
		up := l.SetUp()
		for i := range early {
			up.Note(unknown, Event{Session: l.Session(unknown), Time: noon, Command: strconv.Itoa(i)})
		}
		up.Note(known, Event{Session: l.Session(known), Time: noon, Command: "login"})
		l.Close()
		got := strings.Fields(commandsIn(t, l.dir()))
		if len(got) != want || got[0] != "0" || got[want-2] != strconv.Itoa(want-2) || got[want-1] != "login" {
			t.Errorf("%d events and a sign-in: the files have %q", early, got)
		}
	}
}

// 64 rules can be in force. The first ones count.
func TestMostRules(t *testing.T) {
	testkit.NoLeaks(t)
	l := newTestLog(t)
	var rules []Rule
	for i := range maxRules + 1 {
		rules = append(rules, Rule{ID: strconv.Itoa(i), Filter: Filter{User: "u" + strconv.Itoa(i)}})
	}
	l.SetRules(rules)
	if got := l.Rules(); len(got) != 64 || got[63].ID != "63" {
		t.Errorf("%d rules are in force", len(got))
	}
	l.SetRules(rules[:64])
	if got := l.Rules(); len(got) != 64 {
		t.Errorf("%d rules are in force", len(got))
	}
}

// While nothing is asked for, the log rests after a second. Whoever watches then wakes it. A rule ends on time.
func TestLogRestsUntilSomethingIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t)
		defer l.Close()
		for range 2 {
			time.Sleep(time.Minute) // of the bubble: it rests
			synctest.Wait()
			tail, err := l.Tail(Filter{}, CSV)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the log has looked, and found nothing yet
			say(l, 0, testSubject, "noop", 0)
			ctx, cancel := context.WithTimeout(t.Context(), 2*lookPeriod)
			rows, lost, err := tail.Next(ctx, nil)
			cancel()
			if err != nil || lost != 0 || !strings.Contains(string(rows), ",noop,") {
				t.Errorf("saw %q, %d lost: %v", rows, lost, err)
			}
			tail.Close()
		}
		l.SetRules([]Rule{{ID: "r1", Until: time.Now().Add(10 * time.Second)}})
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		if len(l.Rules()) != 1 || !l.On() {
			t.Error("a rule has ended early")
		}
		time.Sleep(lookPeriod)
		synctest.Wait()
		if len(l.Rules()) != 0 || l.On() {
			t.Error("a rule has not ended")
		}
	})
}

// tailed is what somebody who watches has seen.
type tailed struct {
	t    testing.TB
	tail *Tail
	text string
	lost uint64
}

func (s *tailed) comes(want string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testkit.Patience)
	defer cancel()
	for {
		var commands []string
		for line := range strings.Lines(s.text) {
			row, err := ParseRow([]byte(strings.TrimSuffix(line, "\n")))
			if err != nil {
				s.t.Fatal(err)
			}
			commands = append(commands, row[9])
		}
		if strings.Join(commands, " ") == want {
			return
		}
		rows, lost, err := s.tail.Next(ctx, nil)
		if err != nil {
			s.t.Fatalf("saw %q, want %q: %v", commands, want, err)
		}
		s.text, s.lost = s.text+string(rows), s.lost+lost
	}
}

// Who does not read loses rows, is told how many, and nobody waits for them; nothing goes to the files for those who
// watch.
func TestSlowWatcher(t *testing.T) {
	testkit.NoLeaks(t)
	l := newTestLog(t)
	tail, err := l.Tail(Filter{}, JSON)
	if err != nil {
		t.Fatal(err)
	}
	const total = 5000
	for i := range total {
		for !say(l, i%2, testSubject, "noop", 0) {
			time.Sleep(time.Millisecond) // the ring is full: on with it
		}
	}
	got, lost := 0, uint64(0)
	testkit.Eventually(t, "all rows are read or lost", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		rows, n, err := tail.Next(ctx, nil)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		got, lost = got+strings.Count(string(rows), "\n"), lost+n
		return got+int(lost)-int(l.counts.dropped[dropRing].Load()) == total
	})
	if lost == 0 || got == 0 || l.counts.dropped[dropTail].Load() == 0 {
		t.Errorf("%d rows, %d lost", got, lost)
	}
	tail.Close()
	if l.On() {
		t.Error("somebody watches")
	}
	var tails []*Tail
	for range maxTails {
		tail, err := l.Tail(Filter{}, CSV)
		if err != nil {
			t.Fatal(err)
		}
		tails = append(tails, tail)
	}
	if _, err := l.Tail(Filter{}, CSV); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	l.Close()
	for _, tail := range tails {
		if _, _, err := tail.Next(t.Context(), nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	}
	if _, err := os.Stat(l.dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there are files: %v", err)
	}
}

// A ring never gives out a place twice, and what found no room is counted.
func TestRing(t *testing.T) {
	r := &Ring{events: make([]Event, ringSize)}
	for i := range ringSize {
		e := r.Slot()
		if e == nil {
			t.Fatalf("full after %d", i)
		}
		e.Number = uint32(i)
		r.Put()
	}
	if r.Slot() != nil || r.dropped.Load() != 1 {
		t.Error("more than there is room for")
	}
	for i := range r.end() {
		if got := r.at(i).Number; got != uint32(i) {
			t.Fatalf("%d in the place of %d", got, i)
		}
	}
	r.release(r.end())
	if e := r.Slot(); e == nil || e.Number != 0 {
		t.Errorf("%+v", e)
	}
}

func TestPuttingAllocatesNothing(t *testing.T) {
	l := newTestLog(t, func(o *Options) { o.Settings.Enabled = true })
	m, s, shown := l.Match(testSubject), l.Session(testSubject), wire.ShownName("INBOX")
	code := []byte("READ-WRITE")
	put := func() {
		if !m.Wants("select", 0) {
			t.Fatal("not wanted")
		}
		e := l.Ring(0).Slot()
		if e == nil {
			return
		}
		e.Session, e.Time, e.Command, e.Parameters = s, time.Now(), "select", shown
		e.Answer(OK, code, nil)
		m.Mark(e)
		l.Ring(0).Put()
	}
	if n := testing.AllocsPerRun(1000, put); n >= 1 { // the log's own goroutine may allocate meanwhile
		t.Errorf("%v allocations", n)
	}
}
