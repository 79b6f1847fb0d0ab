package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"
)

// drain begins to drain the relay; the channel is closed when that is done.
func (r *rig) drain(limit time.Duration) <-chan struct{} {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	r.t.Cleanup(cancel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.relay.Drain(ctx)
	}()
	return done
}

func (r *rig) drained(done <-chan struct{}) {
	r.t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		r.t.Fatal("the drain does not end")
	}
}

// sentAway checks that the client is told to come back.
func (tk *talk) sentAway() {
	tk.t.Helper()
	tk.client.hears(lfs(byeDrain))
	tk.client.hearsEnd()
	tk.client.Close()
	tk.server.rest()
	if e := tk.end(); e.Reason != ReasonDrain {
		tk.t.Errorf("ended with %+v", e)
	}
}

func TestDrainEndsEachSessionWhenItHasNoOpenCommand(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		quiet, idling, busy, line := r.start(), r.start(), r.start(), r.start()
		idling.client.say("a IDLE\n")
		idling.server.hears("a IDLE\n")
		idling.server.say("+\n")
		idling.client.hears("+\n")
		busy.client.say("a NOOP\n")
		busy.server.hears("a NOOP\n")
		line.server.say("* 1 FETCH (BODY[] {3}\n")
		line.client.hears("* 1 FETCH (BODY[] {3}\n")
		done := r.drain(patience)
		quiet.sentAway()
		idling.sentAway()
		busy.client.say("b NOOP\n")
		busy.server.hears("b NOOP\n")
		busy.server.say("a OK\n* 1 EXI")
		busy.client.hears("a OK\n* 1 EXI")
		busy.server.say("STS\nb OK\n")
		busy.client.hears("STS\nb OK\n")
		busy.sentAway()
		late := r.start(func(s *Session) { s.Upstream.Rest = []byte("* 1 EXISTS\r\n") })
		late.client.hears("* 1 EXISTS\n")
		late.sentAway()
		line.server.say("abc)\n")
		line.client.hears("abc)\n")
		line.sentAway()
		r.drained(done)
		after := r.start()
		after.sentAway()
	})
}

func TestAtItsDeadlineADrainEndsTheRest(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		busy, literal, opaque := r.start(), r.start(), r.start()
		busy.client.say("a NOOP\n")
		busy.server.hears("a NOOP\n")
		literal.server.say("* 1 FETCH (BODY[] {3}\n")
		literal.client.hears("* 1 FETCH (BODY[] {3}\n")
		opaque.server.say("\x16stray\n")
		opaque.client.hears("\x16stray\n")
		done := r.drain(200 * time.Millisecond)
		busy.sentAway()
		literal.client.hearsCut()
		opaque.client.hearsCut()
		r.drained(done)
		for _, tk := range []*talk{literal, opaque} {
			if e := tk.end(); e.Reason != ReasonDrain {
				t.Errorf("ended with %+v", e)
			}
		}
		late := r.start(func(s *Session) { s.Client.Rest = []byte("a NOOP\r\n") })
		late.sentAway()
	})
}

func TestDrainOfNothingEndsAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		r.drained(r.drain(patience))
		r.drained(r.drain(patience))
		r.relay.Close()
		r.drained(r.drain(patience))
	})
}

func TestCloseEndsAllAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		quiet, busy, literal := r.start(), r.start(), r.start()
		busy.client.say("a NOOP\n")
		busy.server.hears("a NOOP\n")
		literal.server.say("* 1 FETCH (BODY[] {3}\n")
		literal.client.hears("* 1 FETCH (BODY[] {3}\n")
		done := r.drain(patience)
		quiet.sentAway()
		r.relay.Close()
		r.drained(done)
		busy.client.hears(lfs(byeDrain))
		busy.client.hearsEnd()
		literal.client.hearsCut()
		for _, tk := range []*talk{busy, literal} {
			if e := tk.end(); e.Reason != ReasonClosed {
				t.Errorf("ended with %+v", e)
			}
		}
		if n := r.relay.Stats().Ended[ReasonClosed]; n != 2 {
			t.Errorf("%d are counted as closed", n)
		}
	})
}

func TestAddAfterCloseIsRefused(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		r.relay.Close()
		ended := make(chan Ending, 2)
		s := Session{Owner: ownerFunc(func(e Ending) { ended <- e })}
		var client, server *peer
		client, s.Client = r.connect("client", r.ways.client, true)
		server, s.Upstream = r.connect("server", r.ways.server, false)
		if err := r.relay.Add(s); !errors.Is(err, ErrClosed) {
			t.Fatalf("Add: %v", err)
		}
		if e := <-ended; e.Reason != ReasonClosed || len(ended) > 0 {
			t.Errorf("ended with %+v, and %d times more", e, len(ended))
		}
		for _, p := range []*peer{client, server} {
			if _, err := p.in.ReadByte(); err == nil {
				t.Errorf("the %s's connection is still open", p.name)
			}
		}
	})
}

func TestAddWhileClosing(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		const adders = 4
		var adding sync.WaitGroup
		begun := make(chan struct{}, adders)
		for range adders {
			adding.Go(func() {
				for n := range 20 {
					tk := &talk{t: t, ended: make(chan Ending, 1)}
					s := Session{Server: "mbx1", Owner: ownerFunc(tk.over)}
					tk.client, s.Client = r.connect("client", false, true)
					tk.server, s.Upstream = r.connect("server", false, false)
					r.mu.Lock()
					r.talks = append(r.talks, tk)
					r.mu.Unlock()
					if err := r.relay.Add(s); err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					if n == 3 {
						begun <- struct{}{}
					}
				}
			})
		}
		for range adders {
			<-begun
		}
		r.relay.Close()
		adding.Wait()
		for _, tk := range r.talks {
			if _, err := io.Copy(io.Discard, tk.server.Conn); err != nil && !isReset(err) {
				t.Error(err)
			}
		}
	})
}
