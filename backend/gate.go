package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// PaceOptions say how fast sign-ins are let in where many may have waited.
type PaceOptions struct {
	PerSecond int           // 0 is as fast as they come
	For       time.Duration // how long after a resume or a move
}

// MaxPause is the longest pause of a mailbox server.
const MaxPause = 10 * time.Minute

// Of sign-ins that wait for a mailbox server.
const (
	maxWaiting = 10_000           // for one server; more are refused
	stillWaits = 15 * time.Second // how often a client is told that it waits
)

// LongestWait is how long one sign-in may wait in all for mailbox servers that are paused, and for databases that
// move.
const LongestWait = MaxPause + time.Minute

// Gates hold the sign-ins to mailbox servers that are paused, and let them in one behind the other, at a set pace,
// when they are not any more, or when databases have moved there. They live as long as the program and forget pauses
// with it. They are safe for concurrent use.
type Gates struct {
	now func() time.Time

	mu   sync.Mutex // guards the rest
	pace PaceOptions
	of   map[string]*gate // by server, those that are not just open
}

// gate is one server's.
type gate struct {
	paused time.Time // until then
	paced  time.Time // until then
	next   time.Time // when the next may go in
	queue  []*waiter
}

// waiter is a sign-in that waits. Who stands first is told when something has changed.
type waiter struct {
	changed chan struct{}
	away    bool // it is to look whether it still has to wait here
}

// NewGates returns gates that are all open.
func NewGates(now func() time.Time) *Gates { return &Gates{now: now, of: make(map[string]*gate)} }

// Configure puts another pace in force.
func (g *Gates) Configure(o PaceOptions) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace = o
}

func (g *Gates) gate(server string) *gate {
	if g.of[server] == nil {
		g.of[server] = &gate{}
	}
	return g.of[server]
}

// Pause holds the sign-ins to a server from now on, for at most MaxPause. A server that is paused is paused for
// another time.
func (g *Gates) Pause(server string, d time.Duration) error {
	if d <= 0 || d > MaxPause {
		return fmt.Errorf("a pause must be longer than 0s and at most %v, not %v", MaxPause, d)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	gt := g.gate(server)
	gt.paused = g.now().Add(d)
	gt.paced = gt.paused.Add(g.pace.For)
	gt.tell()
	return nil
}

// Resume ends a pause.
func (g *Gates) Resume(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gt := g.of[server]; gt != nil {
		gt.paused = g.now()
		gt.paced = gt.paused.Add(g.pace.For)
		gt.tell()
	}
}

// slow has the sign-ins to a server let in at the set pace, as many may come at once.
func (g *Gates) slow(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate(server).paced = g.now().Add(g.pace.For)
}

// GateState is what is known of a server's gate.
type GateState struct {
	Paused  time.Duration // how long it still is; 0 if it is not
	Waiting int           // sign-ins
}

// State tells of a server's gate.
func (g *Gates) State(server string) GateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	gt := g.of[server]
	if gt == nil {
		return GateState{}
	}
	return GateState{Paused: max(gt.paused.Sub(g.now()), 0), Waiting: len(gt.queue)}
}

// tell has whoever stands first look again.
func (gt *gate) tell() {
	if len(gt.queue) > 0 {
		gt.queue[0].tell()
	}
}

func (w *waiter) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// sendAway has all who wait for a server look whether they still have to, as a database has moved away from there.
func (g *Gates) sendAway(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gt := g.of[server]; gt != nil {
		for _, w := range gt.queue {
			w.away = true
			w.tell()
		}
		gt.queue = nil
	}
}

// opens says when the next sign-in may go in; the zero time is now.
func (g *Gates) opens(gt *gate) time.Time {
	now := g.now()
	at := gt.paused
	if now.Before(gt.paced) && gt.next.After(at) {
		at = gt.next
	}
	if at.After(now) {
		return at
	}
	return time.Time{}
}

// goIn notes that a sign-in goes in.
func (g *Gates) goIn(gt *gate) {
	if g.pace.PerSecond > 0 {
		gt.next = g.now().Add(time.Second / time.Duration(g.pace.PerSecond))
	}
}

// pass says whether a sign-in may go in right now.
func (g *Gates) pass(server string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	gt := g.of[server]
	if gt == nil {
		return true
	}
	if len(gt.queue) > 0 || !g.opens(gt).IsZero() {
		return false
	}
	if !g.now().Before(gt.paced) {
		delete(g.of, server)
		return true
	}
	g.goIn(gt)
	return true
}

var errTooManyWait = errors.New("too many sign-ins wait for the mailbox server")

// wait returns true when a sign-in may go in: those who came first go first; and false when it is to look whether it
// still has to wait for this server. The client is told every few seconds that it waits, and at once when it closes
// its side: one that has gone resets the connection then. If it can not be told, or ctx ends, the wait ends with that
// error.
func (g *Gates) wait(ctx context.Context, server string, by waiting) (in bool, err error) {
	w := &waiter{changed: make(chan struct{}, 1)}
	g.mu.Lock()
	gt := g.gate(server)
	if len(gt.queue) >= maxWaiting {
		g.mu.Unlock()
		return false, errTooManyWait
	}
	gt.queue = append(gt.queue, w)
	g.mu.Unlock()
	told, closed := g.now(), by.closed()
	for {
		in, over, at := g.look(server, w)
		if over {
			return in, nil
		}
		hungUp := false
		by.wait(ctx, func(ctx context.Context) {
			hungUp = pause(ctx, w.changed, closed, g.now, at, told.Add(stillWaits))
		})
		err = context.Cause(ctx)
		if err == nil && (hungUp || !g.now().Before(told.Add(stillWaits))) {
			told = g.now()
			err = by.tell()
		}
		if err != nil {
			g.leave(server, w)
			return false, err
		}
	}
}

// look lets a waiter in if it stands first and the gate is open. Its wait may be over without that, if it was sent
// away. Else at is when to look again, if that is known.
func (g *Gates) look(server string, w *waiter) (in, over bool, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gt := g.gate(server)
	switch {
	case w.away:
		return false, true, at
	case gt.queue[0] != w:
		return false, false, at
	}
	if at = g.opens(gt); !at.IsZero() {
		return false, false, at
	}
	gt.queue = gt.queue[1:]
	g.goIn(gt)
	gt.tell()
	return true, true, at
}

// leave takes a waiter out that has given up.
func (g *Gates) leave(server string, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gt := g.gate(server)
	gt.queue = slices.DeleteFunc(gt.queue, func(other *waiter) bool { return other == w })
	gt.tell()
}

// pause waits for a change, for a time if there is one, for another, for ctx's end, or until the client closes its
// side: then it returns true.
func pause(ctx context.Context, changed, closed <-chan struct{}, now func() time.Time, at,
	other time.Time) (hungUp bool) {
	if at.IsZero() || other.Before(at) {
		at = other
	}
	timer := time.NewTimer(at.Sub(now()))
	defer timer.Stop()
	select {
	case <-changed:
	case <-closed:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
