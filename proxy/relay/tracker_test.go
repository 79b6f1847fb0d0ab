package relay

import (
	"fmt"
	"testing"

	"portico/proxy/wire"
)

// at moves the session's clock, in seconds.
func (d *bareSession) at(seconds int64) *bareSession {
	d.now = seconds * 1e9
	return d
}

// spent returns the server time of all commands of a verb, in seconds, and how many there were.
func (d *bareSession) spent(v wire.Verb) (seconds int64, count uint64) {
	h := d.tracker.stats.Commands[v]
	if h == nil {
		return 0, 0
	}
	return h.Sum / 1e9, h.Count
}

func TestServerTime(t *testing.T) {
	type line struct {
		at   int64
		who  who
		text string
	}
	const pause, resume who = 'p', 'r'
	tests := []struct {
		name  string
		verb  wire.Verb
		lines []line
		want  int64
	}{
		{"from the last byte to the answer", wire.VerbNoop, []line{
			{10, 'c', "a NO"}, {20, 'c', "OP\r"}, {30, 'c', "\n"}, {34, 's', "* 1 EXISTS\r\na OK"},
			{35, 's', " done\r"}, {37, 's', "\n"}}, 5},
		{"of each of two", wire.VerbNoop, []line{
			{10, 'c', "a NOOP\r\n"}, {11, 'c', "b NOOP\r\n"}, {13, 's', "b OK\r\n"}, {17, 's', "a OK\r\n"}}, 7 + 2},
		{"the wait for + counts, the client's own time does not", wire.VerbAppend, []line{
			{10, 'c', "a APPEND x {3}\r\n"}, {12, 's', "+\r\n"}, {50, 'c', "abc {2}\r\n"}, {53, 's', "+\r\n"},
			{90, 'c', "de\r\n"}, {97, 's', "a OK\r\n"}}, 2 + 3 + 7},
		{"a literal that does not wait", wire.VerbAppend, []line{
			{10, 'c', "a APPEND x {3+}\r\n"}, {50, 'c', "abc\r\n"}, {51, 's', "a OK\r\n"}}, 1},
		{"refused in place of +", wire.VerbAppend, []line{{10, 'c', "a APPEND x {3}\r\n"}, {14, 's', "a NO\r\n"}}, 4},
		{"answered before the last byte", wire.VerbAppend, []line{
			{10, 'c', "a APPEND x {3+}\r\na"}, {14, 's', "a NO\r\n"}, {90, 'c', "bc\r\n"}}, 0},
		{"IDLE's wait for mail does not count", wire.VerbIdle, []line{
			{10, 'c', "a IDLE\r\n"}, {12, 's', "+\r\n"}, {50, 's', "* 1 EXISTS\r\n"}, {1000, 'c', "DONE\r\n"},
			{1003, 's', "a OK\r\n"}}, 2 + 3},
		{"IDLE ended by the server", wire.VerbIdle, []line{{10, 'c', "a IDLE\r\n"}, {12, 's', "+\r\n"},
			{1000, 's', "a OK\r\n"}}, 2},
		{"an exchange's waits count", wire.VerbAuthenticate, []line{
			{10, 'c', "a AUTHENTICATE X\r\n"}, {11, 's', "+\r\n"}, {50, 'c', "AA==\r\n"}, {52, 's', "+\r\n"},
			{90, 'c', "AA==\r\n"}, {94, 's', "a NO\r\n"}}, 1 + 2 + 4},
		{"the client's slowness is taken off", wire.VerbFetch, []line{
			{10, 'c', "a FETCH 1 X\r\n"}, {11, pause, ""}, {31, resume, ""}, {33, 's', "a OK\r\n"}}, 3},
		{"and what of it came before is not", wire.VerbFetch, []line{
			{5, pause, ""}, {10, 'c', "a FETCH 1 X\r\n"}, {16, resume, ""}, {17, 's', "a OK\r\n"}}, 1},
		{"nor what goes on behind it", wire.VerbFetch, []line{
			{10, 'c', "a FETCH 1 X\r\n"}, {12, pause, ""}, {17, 's', "a OK\r\n"}, {90, resume, ""}}, 2},
		{"several pauses", wire.VerbFetch, []line{
			{10, 'c', "a FETCH 1 X\r\n"}, {11, pause, ""}, {12, pause, ""}, {13, resume, ""}, {14, pause, ""},
			{20, resume, ""}, {21, 's', "a OK\r\n"}}, 3},
		{"a line refused by us takes none", wire.VerbCompress, []line{{10, 'c', "a COMPRESS {5}\r\n"}}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newBareSession(OffersNone)
			for _, l := range test.lines {
				switch d.at(l.at); l.who {
				case pause:
					d.tracker.pause(d.now)
				case resume:
					d.tracker.resume(d.now)
				default:
					d.say(l.who, l.text)
				}
			}
			if got, n := d.spent(test.verb); got != test.want || n == 0 {
				t.Errorf("%d s in %d commands, want %d s", got, n, test.want)
			}
		})
	}
}

func TestQueuedCountsFromTheFirstByteToTheAnswer(t *testing.T) {
	d := newBareSession(OffersNone)
	for _, step := range []struct {
		who    who
		text   string
		queued int64
		busy   bool
	}{
		{'c', "a", 0, false},
		{'c', " NOOP ", 1, true},
		{'c', "x\r\nb APPEND x {3}\r\n", 2, true},
		{'s', "a OK\r\n", 1, true},
		{'s', "+\r\n", 1, true},
		{'c', "abc", 1, true},
		{'s', "b NO\r\n", 0, false},
		{'c', "\r\nc IDLE\r\n", 1, true},
		{'s', "+\r\n", 0, false},
		{'s', "* 1 EXISTS\r\n", 0, false},
		{'c', "DO", 0, false},
		{'c', "NE\r\n", 1, true},
		{'c', "d NOOP\r\n", 2, true},
		{'s', "c OK\r\n", 1, true},
		{'s', "d OK\r\n", 0, false},
	} {
		d.say(step.who, step.text)
		if n := d.tracker.stats.Queued; n != step.queued || d.tracker.busy() != step.busy {
			t.Errorf("behind %q: %d queued, busy %v", step.text, n, d.tracker.busy())
		}
	}
}

func TestResultsAreCountedByVerb(t *testing.T) {
	d := newBareSession(OffersNone)
	d.say(clientSays,
		"a NOOP\r\nb noop\r\nc UID FETCH 1 X\r\nd XYZZY\r\ne COMPRESS X\r\nf STARTTLS\r\ng SELECT x\r\nh IDLE\r\n")
	d.say(serverSays, "a OK\r\nb no\r\nc BAD\r\nd OK\r\n")
	d.releaseTables(d.now)
	want := map[wire.Verb][NumResults]uint64{
		wire.VerbNoop: {1, 1}, wire.VerbUIDFetch: {0, 0, 1}, wire.VerbOther: {1}, wire.VerbCompress: {0, 1},
		wire.VerbStartTLS: {0, 0, 1}, wire.VerbSelect: {ResultAborted: 1}, wire.VerbIdle: {ResultAborted: 1},
	}
	for v, results := range d.tracker.stats.Results {
		if results != want[wire.Verb(v)] {
			t.Errorf("%v: %v, want %v", wire.Verb(v), results, want[wire.Verb(v)])
		}
	}
	if d.tracker.stats.Intercepted != 2 || d.tracker.numAnswered != 6 {
		t.Errorf("%d intercepted, %d ended", d.tracker.stats.Intercepted, d.tracker.numAnswered)
	}
}

func TestTheSameTagTwice(t *testing.T) {
	d := newBareSession(OffersNone)
	d.at(10).say(clientSays, "a NOOP\r\na SELECT x\r\n")
	d.at(11).say(serverSays, "a OK\r\n")
	d.at(14).say(serverSays, "a OK\r\n")
	noop, _ := d.spent(wire.VerbNoop)
	sel, _ := d.spent(wire.VerbSelect)
	if noop != 1 || sel != 4 || d.opaque {
		t.Errorf("NOOP %d s, SELECT %d s, opaque %v", noop, sel, d.opaque)
	}
}

func TestTooManyOpenCommandsStopTheClient(t *testing.T) {
	d := newBareSession(OffersNone)
	for i := range 300 {
		d.say(clientSays, fmt.Sprintf("t%d NOOP\r\n", i))
	}
	if d.tracker.open != maxOpen || d.mayReadClient() || d.tracker.stats.Queued != maxOpen {
		t.Fatalf("%d open, %d queued", d.tracker.open, d.tracker.stats.Queued)
	}
	if got := d.server.String(); len(got) == 0 || got[len(got)-len("t255 NOOP\r\n"):] != "t255 NOOP\r\n" {
		t.Fatalf("passed on: %q", got)
	}
	for i := range 300 {
		d.say(serverSays, fmt.Sprintf("t%d OK\r\n", i))
	}
	if d.tracker.open != 0 || !d.mayReadClient() || d.opaque || d.tracker.numAnswered != 300 {
		t.Errorf("%d open, %d answered", d.tracker.open, d.tracker.numAnswered)
	}
}

func TestTooManyOpenCommandsCarryOnThroughAnyAnswer(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		var all, answers string
		for i := range 1000 {
			all += fmt.Sprintf("t%d NOOP\n", i)
			answers += fmt.Sprintf("t%d OK\n", i)
		}
		tk.client.say(all)
		for i := range 1000 {
			tk.server.hears(fmt.Sprintf("t%d NOOP\n", i))
			tk.server.say(fmt.Sprintf("t%d OK\n", i))
		}
		tk.client.hears(answers)
	})
}

func TestACommandInTheMiddleOfWhichTheQueueIsFullIsFinished(t *testing.T) {
	d := newBareSession(OffersNone)
	for i := range maxOpen - 1 {
		d.say(clientSays, fmt.Sprintf("t%d NOOP\r\n", i))
	}
	d.say(clientSays, "x NOOP some")
	d.server.Reset()
	d.say(clientSays, "thing\r\ny NOOP\r\n")
	d.hears(t, serverHears, "thing\r\n")
	d.hearsNothingElse(t)
}

func TestPoolKeepsNothingOfACommand(t *testing.T) {
	d := newBareSession(OffersNone)
	d.at(10).say(clientSays, "a IDLE\r\n")
	d.at(11).say(serverSays, "+\r\n")
	d.releaseTables(d.now)
	next := newBareSession(OffersNone)
	next.tracker.stats.pool = d.tracker.stats.pool
	next.at(100).say(clientSays, "b NOOP\r\n")
	if c := next.tracker.first; c.idling || c.serverTime != 0 || c.since != next.now || string(c.name()) != "b" {
		t.Errorf("%+v", c)
	}
}
