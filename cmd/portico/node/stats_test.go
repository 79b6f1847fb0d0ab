package node

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/health/admin"
	"portico/proxy/history"
)

// record records what was counted so far, as the node does every few seconds.
func (r *running) record() { r.figures.history.Record(r.figures.now(), r.figures.counts()) }

// What a user's commands take shows in stats, by server, database, listener and verb, and a sign-in that is refused
// with its reason.
func TestStats(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	client := r.signIn(t)
	client.Command("b", "NOOP")
	client.Command("c", "SELECT INBOX")
	client.Command("d", "NOOP")
	other := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	other.Expect("* OK *")
	other.Send("a LOGIN alice wrong")
	other.Expect("a NO *")
	testkit.Eventually(t, "that all is counted", func() bool {
		of := r.clients.server.Counts().Of(history.Server, "mbx1")
		return of.SignIns["bad_credential"] == 1 && of.Commands["NOOP"] != nil && of.Commands["NOOP"].Count == 2
	})
	r.record()
	for _, c := range []struct {
		args     string
		commands map[string]uint64 // by name; a value of 0 wants the row alone
	}{
		{"", map[string]uint64{"mbx1": 3}},
		{"--by database", map[string]uint64{"db1": 3}},
		{"--by listener", map[string]uint64{"localhost:0": 3, "127.0.0.1:0": 0}},
		{"--by verb", map[string]uint64{"NOOP": 0, "SELECT": 1, "LOGIN": 0}}, // probes sign in too
		{"--by verb --server mbx1", map[string]uint64{"NOOP": 2, "SELECT": 1}},
		{"--verb noop --since 5m", map[string]uint64{"mbx1": 2}},
	} {
		var figures admin.StatsFigures
		args := append([]string{"stats", "-o", "json"}, strings.Fields(c.args)...)
		if err := json.Unmarshal([]byte(site.portico(t, 0, args...)), &figures); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]uint64)
		for _, row := range figures.Rows {
			got[row.Name] = row.Commands
			if row.Name == "mbx1" && !strings.Contains(c.args, "--verb") &&
				(row.Sessions != 1 || row.SignIns != 1 || row.Refused["bad_credential"] != 1 || row.ServerBytes == 0) {
				t.Errorf("%q: %+v", args, row)
			}
		}
		for name, n := range c.commands {
			if commands, there := got[name]; !there || n > 0 && commands != n {
				t.Errorf("%q: %s has %d commands, want %d", args, name, commands, n)
			}
		}
	}
	if got := site.portico(t, 0, "stats"); !strings.Contains(got, "Refused at mbx1: 1 bad_credential.") {
		t.Errorf("no reason of the refused sign-in:\n%s", got)
	}
	if got := site.portico(t, 0, "stats", "--by", "verb", "--step", "30s"); !strings.Contains(got, "SELECT") ||
		!strings.HasPrefix(got, "From") {
		t.Errorf("in steps:\n%s", got)
	}
	for args, want := range map[string]string{
		"--by user":                   "it must be server, database, listener or verb",
		"--step 2s":                   "--step must be a time from 5s to that of --since",
		"--since 1h --step 5s":        "has more than 400 steps",
		"--since 2h":                  "--since must be a time from 5s to 1h0m0s",
		"--by listener --server mbx1": "--server and --verb are for --by server and --by verb",
		"--server mbx2":               `no mailbox server "mbx2"`,
		"--verb NOPE":                 `no command "NOPE"`,
	} {
		got := site.portico(t, 2, append([]string{"stats"}, strings.Fields(args)...)...)
		if !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", args, want, got)
		}
	}
}

// Without a terminal, top says how to print once.
func TestTopNeedsATerminal(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	site.serve(t, site.write(t, ""))
	if got := site.portico(t, 2, "top"); !strings.Contains(got, "needs a terminal; portico top --once") {
		t.Error(got)
	}
}

// Figures are recorded every five seconds.
func TestFiguresAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFigures(func() history.Counts {
			counts := make(history.Counts)
			counts.Of(history.Server, "mbx1").Sessions = 1
			return counts
		})
		go f.run(ctx)
		time.Sleep(time.Minute + time.Second)
		windows := 0
		for w := range f.history.Windows(history.Query{Since: time.Minute, Step: history.Interval}, f.now()) {
			windows++
			if w.From-w.To != history.Interval || w.Rows["mbx1"].Sessions != 1 {
				t.Errorf("%+v", w)
			}
		}
		if windows != 12 {
			t.Errorf("%d windows in a minute", windows)
		}
		cancel()
		synctest.Wait()
	})
}

// A loop that hangs keeps the figures from being counted, and after a minute Portico is not alive.
func TestAliveWhileLoopsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		goesOn := make(chan struct{})
		f := newFigures(func() history.Counts {
			if hangs.Load() {
				<-goesOn
			}
			return history.Counts{}
		})
		go f.run(t.Context())
		for _, step := range []struct {
			hangs bool
			after time.Duration
			alive bool
		}{{false, time.Hour, true}, {true, 50 * time.Second, true}, {true, 20 * time.Second, false}} {
			hangs.Store(step.hangs)
			time.Sleep(step.after)
			if err := f.alive(); (err == nil) != step.alive {
				t.Errorf("hangs: %t, after %s: %v", step.hangs, step.after, err)
			}
		}
		hangs.Store(false)
		close(goesOn)
		synctest.Wait()
		if err := f.alive(); err != nil {
			t.Error(err)
		}
	})
}
