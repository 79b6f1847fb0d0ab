package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// PaceOptions say how fast a server's queue admits sign-ins after a pause or a move.
type PaceOptions struct {
	PerSecond int           // 0 is no limit
	For       time.Duration // how long the limit lasts after a resume or a move
}

// MaxPause is the longest pause of a mailbox server.
const MaxPause = 10 * time.Minute

// Limits of sign-ins that wait for a mailbox server.
const (
	maxWaiting = 10_000           // for one server; more are refused
	stillWaits = 15 * time.Second // how often a waiting client gets a line
)

// LongestWait is how long one sign-in may wait in total for paused mailbox servers and for moving databases.
const LongestWait = MaxPause + time.Minute

// SigninQueues hold the sign-ins to paused mailbox servers, one queue for each server. After a pause, and after a
// database has moved to a server, its queue admits sign-ins in order of arrival at the configured pace. Pauses end
// with the program. The queues are safe for concurrent use.
type SigninQueues struct {
	now func() time.Time

	mu       sync.Mutex // guards the rest
	pace     PaceOptions
	nodes    int                     // that admit sign-ins to the same servers
	byServer map[string]*signinQueue // by server; only queues that may hold a sign-in
}

// signinQueue belongs to one server.
type signinQueue struct {
	paused  time.Time // until then
	paced   time.Time // until then
	next    time.Time // when the pace admits the next one
	waiting []*waiter
}

// waiter is a sign-in in a queue. Only the first one is notified of changes.
type waiter struct {
	changed chan struct{}
	away    bool // it must look up its server again, because the database has moved
}

// NewSigninQueues returns queues that hold no sign-ins.
func NewSigninQueues(now func() time.Time) *SigninQueues {
	return &SigninQueues{now: now, nodes: 1, byServer: make(map[string]*signinQueue)}
}

// Share divides the pace by the number of nodes that admit sign-ins to the same servers. A node admits at least one
// sign-in per second.
func (g *SigninQueues) Share(nodes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes = max(nodes, 1)
}

// Configure applies another pace.
func (g *SigninQueues) Configure(o PaceOptions) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace = o
}

func (g *SigninQueues) queue(server string) *signinQueue {
	if g.byServer[server] == nil {
		g.byServer[server] = &signinQueue{}
	}
	return g.byServer[server]
}

// Pause holds the sign-ins to a server from now on, for at most MaxPause. If the server is already paused, the new
// time replaces the old one.
func (g *SigninQueues) Pause(server string, d time.Duration) error {
	if err := checkPause(d); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	queue := g.queue(server)
	queue.paused = g.now().Add(d)
	queue.paced = queue.paused.Add(g.pace.For)
	queue.wake()
	return nil
}

func checkPause(d time.Duration) error {
	if d <= 0 || d > MaxPause {
		return fmt.Errorf("a pause must be longer than 0s and at most %v, not %v", MaxPause, d)
	}
	return nil
}

// Resume ends a pause.
func (g *SigninQueues) Resume(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if queue := g.byServer[server]; queue != nil {
		queue.paused = g.now()
		queue.paced = queue.paused.Add(g.pace.For)
		queue.wake()
	}
}

// slow applies the pace to a server, because many sign-ins may arrive at once.
func (g *SigninQueues) slow(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue(server).paced = g.now().Add(g.pace.For)
}

// SigninQueueState describes a server's queue.
type SigninQueueState struct {
	Paused  time.Duration // left; 0 if the server is not paused
	Waiting int           // sign-ins in the queue
}

// State describes a server's queue.
func (g *SigninQueues) State(server string) SigninQueueState {
	g.mu.Lock()
	defer g.mu.Unlock()
	queue := g.byServer[server]
	if queue == nil {
		return SigninQueueState{}
	}
	return SigninQueueState{Paused: max(queue.paused.Sub(g.now()), 0), Waiting: len(queue.waiting)}
}

// wake makes the first waiter look again.
func (queue *signinQueue) wake() {
	if len(queue.waiting) > 0 {
		queue.waiting[0].wake()
	}
}

func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// sendAway empties a server's queue after a database has moved away: each waiter looks up its server again.
func (g *SigninQueues) sendAway(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if queue := g.byServer[server]; queue != nil {
		for _, w := range queue.waiting {
			w.away = true
			w.wake()
		}
		queue.waiting = nil
	}
}

// opens returns when the queue admits the next sign-in; the zero time is now.
func (g *SigninQueues) opens(queue *signinQueue) time.Time {
	now := g.now()
	at := queue.paused
	if now.Before(queue.paced) && queue.next.After(at) {
		at = queue.next
	}
	if at.After(now) {
		return at
	}
	return time.Time{}
}

// goIn records that the queue admits a sign-in.
func (g *SigninQueues) goIn(queue *signinQueue) {
	if g.pace.PerSecond > 0 {
		queue.next = g.now().Add(min(time.Second*time.Duration(g.nodes)/time.Duration(g.pace.PerSecond), time.Second))
	}
}

// pass reports whether a sign-in is admitted without waiting.
func (g *SigninQueues) pass(server string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	queue := g.byServer[server]
	if queue == nil {
		return true
	}
	if len(queue.waiting) > 0 || !g.opens(queue).IsZero() {
		return false
	}
	if !g.now().Before(queue.paced) {
		delete(g.byServer, server)
		return true
	}
	g.goIn(queue)
	return true
}

var errTooManyWait = errors.New("too many sign-ins wait for the mailbox server")

// wait waits in a server's queue. It returns true when the sign-in is admitted, and false when it must look up its
// server again. A waiting client gets a line every few seconds. If the client closes its side it gets one at once,
// because a client that has gone resets the connection then. If writing to the client fails, or ctx ends, the wait
// ends with that error.
func (g *SigninQueues) wait(ctx context.Context, server string, by waiting) (in bool, err error) {
	w := &waiter{changed: make(chan struct{}, 1)}
	g.mu.Lock()
	queue := g.queue(server)
	if len(queue.waiting) >= maxWaiting {
		g.mu.Unlock()
		return false, errTooManyWait
	}
	queue.waiting = append(queue.waiting, w)
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

// look admits a waiter if it is the first and the server is not paused. over is also true if the waiter must look up
// its server again. Otherwise at is when to look again, if that is known.
func (g *SigninQueues) look(server string, w *waiter) (in, over bool, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	queue := g.queue(server)
	switch {
	case w.away:
		return false, true, at
	case queue.waiting[0] != w:
		return false, false, at
	}
	if at = g.opens(queue); !at.IsZero() {
		return false, false, at
	}
	queue.waiting = queue.waiting[1:]
	g.goIn(queue)
	queue.wake()
	return true, true, at
}

// leave removes a waiter that has given up.
func (g *SigninQueues) leave(server string, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	queue := g.queue(server)
	queue.waiting = slices.DeleteFunc(queue.waiting, func(other *waiter) bool { return other == w })
	queue.wake()
}

// pause waits for a change, for the earlier of two times, for ctx's end, or until the client closes its side. It
// returns true for the last.
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
