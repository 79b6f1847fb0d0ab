package relay

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// A client that is gone is noticed, whatever keeps it from being read.
func TestAGoneClientIsNoticedInEveryState(t *testing.T) {
	states := map[string]func(r *rig, tk *talk){
		"256 open commands": func(r *rig, tk *talk) {
			tk.client.say(strings.Repeat("a NOOP\n", maxOpen) + "b NOOP\nc NOOP\n")
			tk.server.hears(strings.Repeat("a NOOP\n", maxOpen))
			tk.client.say("d NOOP\n")
		},
		"a literal to be allowed": func(r *rig, tk *talk) {
			tk.client.say("a APPEND x {5}\nb NOOP\n")
			tk.server.hears("a APPEND x {5}\n")
			tk.client.say("c NOOP\n")
		},
		"a server that does not read": func(r *rig, tk *talk) { r.fill(tk) },
		"too many commands": func(r *rig, tk *talk) {
			r.relay.Limit(1, 1)
			tk.client.say(strings.Repeat("a NOOP\n", 100))
			tk.server.hears(strings.Repeat("a NOOP\n", 100))
			tk.client.say("b NOOP\n")
		},
	}
	ends := map[string]func(*peer){"reset": (*peer).reset, "closed": (*peer).halfClose}
	testkit.NoLeaks(t)
	for name, prepare := range states {
		for how, leave := range ends {
			for _, w := range []ways{{false, false}, {true, true}} {
				for _, d := range drivers {
					t.Run(fmt.Sprintf("%s/%s/%s/%v", d.name, name, how, w), func(t *testing.T) {
						r := newRig(t, d, Options{LingerTimeout: 200 * time.Millisecond}, w)
						tk := r.start(tight)
						prepare(r, tk)
						leave(tk.client)
						if e := tk.end(); e.Reason != ReasonClient {
							t.Errorf("ended with %+v", e)
						}
					})
				}
			}
		}
	}
}

// The same holds where the client was fast: there is always a whole buffer to read, and what is read at once fills all
// the room before the server.
func TestAGoneClientIsNoticedBehindWholeBuffers(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, d, Options{LingerTimeout: 200 * time.Millisecond}, ways{})
			tk := r.start(func(s *Session) {
				s.Upstream.Conn.net.(*net.TCPConn).SetWriteBuffer(4 << 10)
				s.Client.Conn.net.(*net.TCPConn).SetReadBuffer(1 << 20)
				client := r.talks[0].client
				client.raw("a APPEND x {20000000+}\r\n" + strings.Repeat("x", 512<<10))
				client.halfClose()
			})
			if e := tk.end(); e.Reason != ReasonClient {
				t.Errorf("ended with %+v", e)
			}
		})
	}
}

// fill has the client send a part of a literal that the server does not read, until the relay does not read either. It
// returns how much that is. The relay's kernel has room for more, so it learns of the client's end.
func (r *rig) fill(tk *talk) (sent int) {
	const head, step = "a APPEND x {20000000+}\r\n", 16 << 10
	tk.client.raw(head)
	for sent = len(head); ; {
		tk.client.raw(strings.Repeat("x", step))
		sent += step
		read := func() bool { return r.server().ClientBytes >= uint64(sent) }
		for end := time.Now().Add(tick); !read(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) { // too early on a busy machine: then the relay reads the client's end later
				return sent
			}
		}
	}
}

// The kernel of a client tells its end only behind all that the client has sent. Where the server reads nothing and
// much is on its way, the kernel's time-out for that server ends the session.
func TestAClientIsGoneBehindBytesThatNobodyTakes(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, d, Options{UserTimeout: time.Second}, ways{})
			tk := r.start(tight)
			tk.client.say("a APPEND x {20000000+}\n")
			sent := tk.client.sends(flow{20000000, 1})
			r.waitStalled()
			tk.client.Close()
			<-sent
			if e := tk.end(); e.Reason != ReasonServer {
				t.Errorf("ended with %+v", e)
			}
		})
	}
}

// A server that takes an upload slowly gets all of it, though its client has closed and nothing else happens for
// longer than LingerTimeout.
func TestAnUploadThatTheServerTakesSlowlyIsNotCut(t *testing.T) {
	eachLoop(t, anUploadThatTheServerTakesSlowlyIsNotCut)
}

func anUploadThatTheServerTakesSlowlyIsNotCut(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	for _, w := range []ways{{false, false}, {true, true}} {
		t.Run("loops/"+w.String(), func(t *testing.T) {
			var clock atomic.Int64
			clock.Store(1)
			r := newRig(t, d, Options{LingerTimeout: time.Minute, IdleTimeout: time.Hour, Now: clock.Load}, w)
			// as of now: a busy machine's ticks come late, and the server would take all before one
			deadline := func() (at int64) {
				inside(t, r.relay, func(lp *loop) {
					lp.housekeep(clock.Load())
					lp.links(func(l *link) { at = l.deadline })
				})
				return at
			}
			slowUpload(r, func(take func()) {
				testkit.Eventually(t, "the client's end is known", func() bool { return deadline() != 0 })
				for range 4 {
					clock.Add(int64(40 * time.Second))
					testkit.Eventually(t, "the deadline moves", func() bool {
						take()
						return deadline() == clock.Load()+int64(time.Minute)
					})
				}
			})
		})
		t.Run("pumps/"+w.String(), func(t *testing.T) {
			r := newRig(t, pumps, Options{LingerTimeout: time.Hour, IdleTimeout: time.Hour}, w)
			p := r.relay.(*Pumps)
			stopped := func() (yes bool) { // says whether the time runs, and ends that
				p.mu.Lock()
				defer p.mu.Unlock()
				for l := range p.links {
					yes = l.lingerTimer != nil && l.lingerTimer.Stop()
				}
				return yes
			}
			slowUpload(r, func(take func()) {
				testkit.Eventually(t, "the client's end is known", stopped)
				for range 4 {
					testkit.Eventually(t, "the time starts afresh", func() bool {
						take()
						return stopped()
					})
				}
			})
		})
	}
}

// slowUpload has a client send a part of an upload and close, and the server take some of it in steps, and then the
// rest.
func slowUpload(r *rig, steps func(take func())) {
	r.t.Helper()
	tk := r.start(tight)
	sent := r.fill(tk)
	tk.client.halfClose()
	taken := 0
	steps(func() {
		n, err := tk.server.in.Discard(min(8<<10, sent-taken))
		if taken += n; err != nil {
			r.t.Errorf("the server gets %d of %d bytes: %v", taken, sent, err)
		}
	})
	if n, err := tk.server.in.Discard(sent - taken); err != nil {
		r.t.Errorf("the server gets %d of %d bytes: %v", taken+n, sent, err)
	}
	tk.server.hearsEnd()
	tk.server.Close()
	tk.end()
}
