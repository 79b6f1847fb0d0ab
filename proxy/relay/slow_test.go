package relay

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/proxy/wire"
)

// slowOf lists what a bare session's statistics have of a server's slow commands, by server time, the slowest first.
func slowOf(d *bareSession) []SlowCommand {
	all := d.tracker.stats.appendSlow(nil, "mbx1", d.now)
	slices.SortFunc(all, func(a, b SlowCommand) int { return int(b.Spent - a.Spent) })
	return all
}

func TestSlowCommands(t *testing.T) {
	const ms = int64(time.Millisecond)
	d := newBareSession(OffersNone)
	run := func(command string, took int64, answer string) {
		d.say(clientSays, "a "+command+"\r\n")
		d.now += took
		d.say(serverSays, "a "+answer+"\r\n")
	}
	run("NOOP", 99*ms, "OK") // below the floor
	if got := slowOf(d); len(got) > 0 {
		t.Errorf("nothing was slow: %+v", got)
	}
	for i := int64(1); i <= 5; i++ {
		run("SELECT x", 1000*ms*i, "OK")
	}
	run("UID FETCH 1 X", 100*ms, "NO")
	d.say(clientSays, "b EXPUNGE\r\nc IDLE\r\n")
	d.say(serverSays, "+ idling\r\n")
	d.now += 200 * ms
	d.releaseTables(d.now)
	d.now += 60 * ms

	want := []SlowCommand{
		{Verb: wire.VerbSelect, Spent: 5 * time.Second}, {Verb: wire.VerbSelect, Spent: 4 * time.Second},
		{Verb: wire.VerbSelect, Spent: 3 * time.Second},
		{Verb: wire.VerbExpunge, Spent: 200 * time.Millisecond, Result: ResultAborted},
		{Verb: wire.VerbUIDFetch, Spent: 100 * time.Millisecond, Result: ResultNO},
	}
	got := slowOf(d)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, c := range got {
		if c.Verb != want[i].Verb || c.Spent != want[i].Spent || c.Result != want[i].Result || c.Server != "mbx1" {
			t.Errorf("%d: %+v, want %+v", i, c, want[i])
		}
	}
	if ago := got[3].Ago; ago != 60*time.Millisecond {
		t.Errorf("ended %v ago", ago)
	}
}

// Each hour has its own, and after a day they are gone, be it that nothing came since.
func TestSlowCommandsOfEachHour(t *testing.T) {
	d := newBareSession(OffersNone)
	for hour := range 30 {
		for i := range 5 {
			d.say(clientSays, "a NOOP\r\n")
			d.now += int64(time.Duration(hour+1)*time.Second + time.Duration(i)*time.Millisecond)
			d.say(serverSays, "a OK\r\n")
		}
		d.now = int64(time.Duration(hour+1)*time.Hour) - 1
		if got, want := len(slowOf(d)), slowKept*min(hour+1, slowHours); got != want {
			t.Fatalf("after hour %d: %d, want %d", hour, got, want)
		}
		d.now++
	}
	d.now += int64(slowHours/2-1) * int64(time.Hour)
	if got, want := len(slowOf(d)), slowKept*slowHours/2; got != want {
		t.Errorf("after half a day of silence: %d, want %d", got, want)
	}
	d.now += int64(slowHours) * int64(time.Hour)
	if got := slowOf(d); len(got) != 0 {
		t.Errorf("after a day: %+v", got)
	}
}

// A copy for a scrape has none, and takes none away.
func TestSlowCommandsStayWithTheLoop(t *testing.T) {
	d := newBareSession(OffersNone)
	d.say(clientSays, "a NOOP\r\n")
	d.now += int64(time.Second)
	d.say(serverSays, "a OK\r\n")
	stats := &Stats{Servers: map[string]*ServerStats{"mbx1": d.tracker.stats.ServerStats}}
	if copied := stats.Clone().Servers["mbx1"]; copied.slow != nil || len(slowOf(d)) != 1 {
		t.Errorf("%v in a copy, %d left", copied.slow, len(slowOf(d)))
	}
}

// On every driver: what a command waits for is to be seen while it waits, and among the slow ones afterwards.
func TestSlowCommandsOfDrivers(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			var clock atomic.Int64
			clock.Store(1)
			r := newRig(t, d, Options{Now: clock.Load}, ways{})
			tk := r.start()
			tk.client.say("a NO")
			clock.Add(int64(time.Second))
			tk.client.say("OP\n")
			tk.server.hears("a NOOP\n")
			clock.Add(int64(time.Second))
			if all := r.relay.Sessions(); len(all) != 1 || all[0].Oldest != time.Second || all[0].Open != 1 ||
				all[0].Verb != wire.VerbNoop || all[0].Waited != time.Second {
				t.Errorf("while it waits: %+v", all)
			}
			tk.server.say("a OK\n")
			tk.client.hears("a OK\n")
			if all := r.relay.Slow(); len(all) != 1 || all[0].Verb != wire.VerbNoop || all[0].Owner == nil ||
				all[0].Spent != time.Second {
				t.Errorf("afterwards: %+v", all)
			}
		})
	}
}
