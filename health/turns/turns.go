// Package turns bounds how many large answers a server has in memory at once. A reader that does not take its answer
// does not keep others waiting: its answer gives way.
package turns

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Grace is how long an answer may be sent while others wait for a turn.
const Grace = time.Second

// Turns are the turns of one kind of answers. It is safe for concurrent use.
type Turns struct {
	taken chan struct{} // has one for each turn that is taken

	mu      sync.Mutex
	sending []*Turn // in the order in which sending began
}

// Turn is the right to make an answer and send it. It belongs to one goroutine.
type Turn struct {
	of    *Turns
	since time.Time // when sending began
	cut   func()
}

// New returns turns of which most can be taken at once.
func New(most int) *Turns { return &Turns{taken: make(chan struct{}, most)} }

// Take waits for a turn until ctx ends, and then returns nil. If all are taken, the answer that has been sent longest
// is cut, unless that began less than Grace ago. Answers that are being made are never cut.
func (t *Turns) Take(ctx context.Context) *Turn {
	for {
		select {
		case t.taken <- struct{}{}:
			return &Turn{of: t}
		default:
		}
		wait := time.NewTimer(t.cutOldest())
		select {
		case t.taken <- struct{}{}:
			wait.Stop()
			return &Turn{of: t}
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}

// cutOldest cuts the answer that has been sent longest, if its grace is over. It returns when to look again.
func (t *Turns) cutOldest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.sending) == 0 {
		return Grace
	}
	oldest := t.sending[0]
	if left := Grace - time.Since(oldest.since); left > 0 {
		return left
	}
	t.sending = t.sending[1:]
	oldest.cut()
	return Grace
}

// Sending says that the answer is made, and is sent from now on. cut makes sending fail at once; it may be called until
// Done returns, by another goroutine.
func (t *Turn) Sending(cut func()) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.since, t.cut = time.Now(), cut
	t.of.sending = append(t.of.sending, t)
}

// Done gives the turn back.
func (t *Turn) Done() {
	t.of.mu.Lock()
	t.of.sending = slices.DeleteFunc(t.of.sending, func(other *Turn) bool { return other == t })
	t.of.mu.Unlock()
	<-t.of.taken
}
