package backend

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// answersKept is how long the answers of a round are used for other callers.
const answersKept = time.Second

// answerRounds shares rounds of asking all mailbox servers: callers during a round, or soon after it, get its answers.
type answerRounds struct {
	mu    sync.Mutex
	round *round
}

type round struct {
	waiting int // who waits for it; answerRounds.mu guards it
	cancel  context.CancelFunc
	done    chan struct{} // closed when the rest is there
	found   map[string]error
	ended   time.Time
}

// RecentChecks is CheckEach for all servers, for views: nil for a server that is up. It starts at most one round at a
// time and one a second, however many callers there are. If ctx ends, each server is unknown (see ReachOf); the round
// continues while other callers wait.
func (t *Tier) RecentChecks(ctx context.Context) map[string]error {
	r := t.answers.begin(t)
	defer t.answers.leave(r)
	select {
	case <-r.done:
		return maps.Clone(r.found)
	case <-ctx.Done():
	}
	found := make(map[string]error)
	for _, name := range t.Servers() {
		found[name] = fmt.Errorf("mailbox server %s could not be asked: %w", name, context.Cause(ctx))
	}
	return found
}

// begin returns the round under way, the last one if it is fresh, or a new one.
func (a *answerRounds) begin(t *Tier) *round {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.round; r != nil {
		select {
		case <-r.done:
			if t.now().Sub(r.ended) < answersKept {
				r.waiting++
				return r
			}
		default:
			r.waiting++
			return r
		}
	}
	ctx, cancel := context.WithCancel(context.Background()) // each server's time bounds it
	a.round = &round{waiting: 1, cancel: cancel, done: make(chan struct{})}
	go a.round.run(ctx, t)
	return a.round
}

// leave ends a round if no caller waits for it.
func (a *answerRounds) leave(r *round) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.waiting--; r.waiting > 0 {
		return
	}
	r.cancel()
	select {
	case <-r.done:
	default: // what it finds now is only that it was ended
		if a.round == r {
			a.round = nil
		}
	}
}

func (r *round) run(ctx context.Context, t *Tier) {
	r.found = t.CheckEach(ctx, t.Servers())
	r.ended = t.now()
	close(r.done)
}
