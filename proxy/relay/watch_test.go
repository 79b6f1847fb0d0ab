package relay

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// notebook is a Watcher that writes down what it is told.
type notebook struct {
	mu    sync.Mutex
	lines []string
}

func (n *notebook) Finished(f *Finished) {
	line := fmt.Sprintf("%s %v %v %d/%d %d", f.Name, f.Result, f.Spent, f.Request, f.Response, f.Data)
	if f.Parameters == nil {
		line += " late"
	} else if text := f.Parameters.String(); text != "" {
		line += " " + text
	}
	if len(f.Code) > 0 {
		line += fmt.Sprintf(" [%s]", f.Code)
	}
	if len(f.Text) > 0 {
		line += fmt.Sprintf(" %q", f.Text)
	}
	n.write(line)
}

func (n *notebook) Ended(e Ending) {
	n.write(fmt.Sprintf("ended %v %d/%d", e.Reason, e.ClientBytes, e.ServerBytes))
}

func (n *notebook) write(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notebook) read() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.lines...)
}

// watchedSession is a bare session with a notebook.
func watchedSession(offers Offers) (*bareSession, *notebook) {
	d, n := newBareSession(offers), new(notebook)
	d.observe(n)
	return d, n
}

func (n *notebook) want(t *testing.T, want ...string) {
	t.Helper()
	if got := n.read(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWatching(t *testing.T) {
	for _, test := range []struct {
		name   string
		offers Offers
		steps  []step
		want   []string
	}{
		{"a command", OffersNone, []step{{'c', "a NOOP\n"},
			{'s', "* 5 EXISTS\n* FLAGS (x)\na OK [READ-WRITE] done\n"}},
			[]string{"noop ok 1ms 8/49 2 [READ-WRITE]"}},
		{"what the server says between commands is of none", OffersNone,
			[]step{{'c', "a NOOP\n"}, {'s', "a OK\n* 5 EXISTS\n"}, {'c', "b CHECK\n"}, {'s', "* 6 EXISTS\nb OK\n"}},
			[]string{"noop ok 1ms 8/6 0", "check ok 1ms 9/18 1"}},
		{"pipelined", OffersNone, []step{{'c', "a SELECT x\nb UID FETCH 1:2 (FLAGS)\n"},
			{'s', "* 1 EXISTS\na OK\n* 1 FETCH ()\n* 2 FETCH ()\nb OK\n"}},
			[]string{"select ok 1ms 12/18 1 x", "uid fetch ok 1ms 25/34 2 1:2 (FLAGS)"}},
		{"literals", OffersNone, []step{{'c', "a APPEND x {3}\n"}, {'s', "+ go\n"}, {'c', "abc\n"},
			{'s', "a NO [OVERQUOTA 5] abc\n"}},
			[]string{"append no 2ms 21/30 0 x {3} [OVERQUOTA]"}},
		{"data with literals", OffersNone, []step{{'c', "a FETCH 1 BODY[]\n"},
			{'s', "* 1 FETCH (BODY[] {4}\n* 1 )\n* 2 EXPUNGE\na OK\n"}},
			[]string{"fetch ok 1ms 18/49 2 1 BODY[]"}},
		{"text that is the server's", OffersNone, []step{{'c', "a SELECT x\n"},
			{'s', "a NO [NONEXISTENT] No x here\n"}},
			[]string{`select no 1ms 12/30 0 x [NONEXISTENT] "No x here"`}},
		{"text that may be the client's", OffersNone,
			[]step{{'c', "a SEARCH FROM hunter2\nb XX hunter2\nc SELECT x\n"},
				{'s', "a NO hunter2\nb BAD hunter2\nc BAD [PARSE] hunter2\n"}},
			[]string{"search no 1ms 23/14 0 FROM {7}", "other bad 1ms 14/15 0 {7}",
				"select bad 1ms 12/23 0 x [PARSE]"}},
		{"IDLE", OffersNone, []step{{'c', "a IDLE\n"}, {'s', "+ idling\n"}, {'s', "* 5 EXISTS\n* 6 EXISTS\n"},
			{'c', "DONE\n"}, {'s', "a OK\n"}},
			[]string{"idle ok 2ms 14/40 2"}},
		{"SASL after sign-in, which a server takes for commands", OffersNone,
			[]step{{'c', "a AUTHENTICATE PLAIN\n"}, {'s', "a NO [CANNOT] no\n"}, {'c', "aHVudGVyMg hunter2\n"},
				{'s', "aHVudGVyMg BAD hunter2\n"}},
			[]string{"authenticate no 1ms 22/18 0 PLAIN [CANNOT]", "other bad 1ms 20/24 0 {1}"}},
		{"SASL lines", OffersNone, []step{{'c', "a AUTHENTICATE PLAIN\n"}, {'s', "+ \n"}, {'c', "AGFubgBodW50ZXIy\n"},
			{'s', "a BAD AGFubgBodW50ZXIy\n"}},
			[]string{"authenticate bad 2ms 40/28 0 PLAIN"}},
		{"an answer of ours", OffersHidden, []step{{'c', "a COMPRESS DEFLATE\n"}},
			[]string{`compress no 0s 20/49 0 DEFLATE [CANNOT] "Compression is not available here"`}},
		{"answered before its last byte", OffersNone,
			[]step{{'c', "a APPEND x {10}\n"}, {'s', "a NO [TRYCREATE] no\n"}, {'c', "b NOOP\n"}, {'s', "b OK\n"}},
			[]string{"append no 1ms 17/21 0 x {10} [TRYCREATE]", "noop ok 1ms 8/6 0"}},
		{"in doubt", OffersNone, []step{{'c', "a NOOP\nb NOOP\n"}, {'s', "\x00hunter2\n"}},
			[]string{"noop aborted 0s 8/0 0", "noop aborted 0s 8/0 0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, cut := range []func(string) []string{whole, bytewise} {
				d, n := watchedSession(test.offers)
				for _, s := range test.steps {
					d.now += int64(time.Millisecond)
					for _, piece := range cut(crlf(s.text)) {
						d.say(s.who, piece)
					}
				}
				n.want(t, test.want...)
			}
		})
	}
}

// A session may be watched from any moment on, and no longer from any.
func TestWatchingBeginsAndEnds(t *testing.T) {
	d, n := newBareSession(OffersNone), new(notebook)
	d.say(clientSays, "a NOOP\r\nb FETCH 1 BODY[]\r\n")
	d.say(serverSays, "a OK\r\n* 1 FETCH (BODY[] {4}\r\nab")
	d.observe(n)
	d.say(serverSays, "cd)\r\nb OK\r\n")
	d.say(clientSays, "c NOOP\r\n")
	d.say(serverSays, "c OK\r\n")
	d.say(clientSays, "d SELECT x\r\n")
	d.observe(nil)
	d.say(serverSays, "d OK\r\n")
	d.say(clientSays, "e NOOP\r\n")
	d.say(serverSays, "e OK\r\n")
	n.want(t, "fetch ok 0s 0/11 0 late", "noop ok 0s 8/6 0")
	if p := d.tracker.stats.pool; p.memos == nil || p.memos.next != nil {
		t.Error("what was kept of the commands is not in the pool")
	}
}

// Watchers are asked for again while a command is under way, on every driver.
func TestRewatch(t *testing.T) {
	type ask struct {
		owner    string
		answered uint64
	}
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			var on atomic.Bool
			var asked sync.Map
			n := new(notebook)
			r := newRig(t, d, Options{Loops: 2, Watch: func(_ int, o Owner, answered uint64) Watcher {
				asked.Store(ask{o.User(), answered}, true)
				if !on.Load() {
					return nil
				}
				return n
			}}, ways{})
			tk := r.start()
			tk.client.say("a NOOP\nb FETCH 1 BODY[]\n")
			tk.server.hears("a NOOP\nb FETCH 1 BODY[]\n")
			tk.server.say("a OK\n* 1 FETCH (BODY[] {4}\n")
			tk.client.hears("a OK\n* 1 FETCH (BODY[] {4}\n")
			on.Store(true)
			r.relay.Rewatch()
			if _, ok := asked.Load(ask{"alice", 1}); !ok {
				t.Error("not asked after the first command")
			}
			tk.server.say("abcd)\nb OK\n")
			tk.client.hears("abcd)\nb OK\n")
			tk.client.say("c NOOP\n")
			tk.server.hears("c NOOP\n")
			tk.server.say("* BYE\nc NO [X] y\n")
			tk.client.hears("* BYE\nc NO [X] y\n")
			tk.server.Close()
			tk.client.hearsEnd()
			tk.client.Close()
			tk.end()
			got := n.read()
			if len(got) != 3 || !strings.HasPrefix(got[0], "fetch ok ") || !strings.HasSuffix(got[0], " late") ||
				!strings.HasPrefix(got[1], "noop no ") || !strings.HasSuffix(got[1], ` [X] "y"`) ||
				got[2] != "ended logout 34/61" {
				t.Errorf("told %q", got)
			}
		})
	}
}

// silent is a Watcher that does nothing with what it is told.
type silent struct{}

func (silent) Finished(*Finished) {}
func (silent) Ended(Ending)       {}

func newWatchedNoop() func() {
	d := newBareSession(OffersNone)
	d.out = sinks{nowhere{}, nowhere{}}
	d.observe(silent{})
	return func() {
		d.now += 1000
		d.fromClient(noop, d.now)
		d.fromServer(noopAnswer, d.now)
	}
}

func BenchmarkSessionNoopWatched(b *testing.B) {
	exchange := newWatchedNoop()
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}

func TestWatchingAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, newWatchedNoop()); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
}
