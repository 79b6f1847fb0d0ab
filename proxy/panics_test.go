package proxy

import (
	"io"
	"path"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/complete"
	"portico/proxy/relay"
)

const panicLogged = `"message":"panic: connection closed"`

// A panic in the relay leaves its value and stack in the log, once a minute.
func TestPanicInTheRelayIsLogged(t *testing.T) {
	var passed atomic.Int64
	testkit.NoLeaks(t)
	h := start(t, TLSNone, func(o *Options) {
		realTier(t)(o)
		o.Relay.Close()
		carrier, err := relay.New(complete.Relay(relay.Options{
			Watch:    func(int, relay.Owner, uint64) relay.Watcher { panic("watcher of mallory") },
			Panicked: LogPanics(o.Log, func() time.Time { return time.Unix(0, passed.Load()) }),
		}))
		if err != nil {
			t.Fatal(err)
		}
		o.Relay = carrier
	})
	breaks := func(logged int) {
		t.Helper()
		before := h.metric("portico_relay_panics_total")
		p := h.client()
		p.send("a LOGIN bob secret\r\n")
		io.Copy(io.Discard, p.in) // reset, at last
		waitUntil(t, func() bool { return h.metric("portico_relay_panics_total") == before+1 })
		waitUntil(t, func() bool { return strings.Count(h.log.String(), panicLogged) == logged })
	}
	breaks(1)
	line := h.log.String()
	for _, want := range []string{`"panic":"watcher of mallory"`, `proxy/panics_test.go:`, "relay.(*loop).adopt",
		`"level":"error"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in the log:\n%s", want, line)
		}
	}
	passed.Add(int64(logPause) - 1)
	breaks(1)
	passed.Add(1)
	breaks(2)
}

// brokenLog is a log that panics over one message.
type brokenLog struct {
	testkit.Log
	over string
}

func (l *brokenLog) Write(p []byte) (int, error) {
	if strings.Contains(string(p), `"message":"`+l.over+`"`) {
		panic("no log")
	}
	return l.Log.Write(p)
}

// Outside of its conversation a session may panic too, as may what admits it: that connection alone ends, the set-up
// thread goes on, and places are given back (which the harness checks).
func TestPanicOnASetUpThreadEndsOneConnection(t *testing.T) {
	for name, test := range map[string]struct {
		over   string // the log's message
		where  string
		limits Limits
		send   string
	}{
		"admit": {"refused: too many connections", "proxy.(*Server).refuse", Limits{Connections: 2}, ""},
		"report, a command": {"authentication mechanism not offered", "proxy.(*session).report", Limits{},
			"a AUTHENTICATE NONE\r\n"},
		"report, the end":    {"logged out before sign-in", "proxy.(*session).report", Limits{}, "a LOGOUT\r\n"},
		"report, of a panic": {"panic", "proxy.(*session).report", Limits{}, "a LOGIN mallory secret\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			log := &brokenLog{over: test.over}
			h := start(t, TLSNone, func(o *Options) {
				o.Log, o.SigninThreads, o.Settings.Limits = zerolog.New(log), 1, completedLimits(test.limits)
			})
			h.tier.route = func(user string) (backend.Route, error) {
				if user == "mallory" {
					panic("lookup of " + user)
				}
				return backend.Route{User: user}, nil
			}
			others := []*peer{h.client(), h.client()}
			p := h.dial()
			p.send(test.send)
			io.Copy(io.Discard, p.in) // it may be reset
			others[0].send("a LOGIN bob secret\r\n")
			others[0].expect("* OK ")
			others[1].Close()
			waitUntil(t, func() bool { unsigned, _ := h.server.admission.counts(); return unsigned == 0 })
			h.client() // there is room again
			if test.send != "" && h.ended(OutcomePanic) == 0 {
				t.Error("not counted")
			}
			if test.over != "authentication mechanism not offered" { // of which the session itself makes its end
				waitUntil(t, func() bool { return strings.Contains(log.String(), panicLogged) })
				if h.metric("portico_setup_panics_total") != 1 {
					t.Error("not counted as one of the thread")
				}
			}
			if !strings.Contains(log.String(), test.where) {
				t.Errorf("no stack with %s in the log:\n%s", test.where, log)
			}
		})
	}
}

func TestPanicLocations(t *testing.T) {
	places := make(map[string]bool)
	for name, f := range map[string]func(){
		"a value":       func() { panic("ouch") },
		"nil":           func() { var p *panicError; _ = p.stack },
		"an index":      func() { var s []byte; _ = s[len(s)+1] },
		"in a deferred": func() { defer func() { panic("later") }(); panic("first") },
	} {
		func() {
			defer func() {
				recover()
				at := panicLocation(debug.Stack())
				if file, _, _ := strings.Cut(at, ":"); path.Base(file) != "panics_test.go" || places[at] {
					t.Errorf("%s: at %q; stack:\n%s", name, at, debug.Stack())
				}
				places[at] = true
			}()
			f()
		}()
	}
	for _, stack := range []string{"", "goroutine 1 [running]:\nmain.main()\n", "x\npanic(",
		"x\npanic({1})\n\ta.go:1\nmain.f()"} {
		if at := panicLocation([]byte(stack)); at != "" {
			t.Errorf("%q is at %q", stack, at)
		}
	}
}
