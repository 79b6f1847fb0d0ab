package backend

import (
	"context"
	"errors"
	"time"

	"portico/configs/store"
)

// pauseKey is that of the pauses in the store; the name of a mailbox server follows.
const pauseKey = "pause/"

// Pauses are the pauses of mailbox servers that all nodes of a site follow. A node holds its own sign-ins, by its own
// clock: what is in the store only tells it to. So a pause never lasts longer than it was asked for, whatever becomes
// of the store. It is safe for concurrent use.
type Pauses struct {
	set    store.Set[storedPause]
	queues *SigninQueues
	failed func(error)
}

// storedPause is a pause in the store.
type storedPause struct {
	For time.Duration `json:"for"` // in nanoseconds
	// Until is when it ends, by the clock of the node that was asked. It counts for nodes that start later.
	Until time.Time `json:"until"`
}

// NewPauses returns the pauses that a store has. failed is told what cannot be read.
func NewPauses(s store.Store, queues *SigninQueues, failed func(error)) *Pauses {
	return &Pauses{store.SetOf[storedPause](s, pauseKey), queues, failed}
}

// Pause holds the sign-ins to a server at all nodes; see [SigninQueues.Pause]. If other nodes cannot be told, no node
// holds them.
func (p *Pauses) Pause(ctx context.Context, server string, d time.Duration) error {
	if err := checkPause(d); err != nil {
		return err
	}
	if err := last(func() error {
		return p.set.Replace(ctx, server, storedPause{d, p.queues.now().Add(d).UTC()})
	}); err != nil {
		return err
	}
	return p.queues.Pause(server, d)
}

// last tries a change until no other node has changed the entry meanwhile: each of them may have been asked for it.
func last(change func() error) error {
	for {
		if err := change(); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// Resume ends a pause at all nodes.
func (p *Pauses) Resume(ctx context.Context, server string) error {
	if err := last(func() error { return p.set.Drop(ctx, server) }); err != nil {
		return err
	}
	p.queues.Resume(server)
	return nil
}

// Run follows the store until ctx ends or the store closes.
func (p *Pauses) Run(ctx context.Context) {
	batches, err := p.set.Watch(ctx)
	if err != nil {
		p.failed(err)
		return
	}
	first := true
	for batch := range batches {
		for _, item := range batch {
			p.follow(item, first)
		}
		first = false
	}
}

// follow does what an entry says. If it may be older than this process, the rest of the pause counts.
func (p *Pauses) follow(item store.Item[storedPause], old bool) {
	left := min(item.Value.For, MaxPause)
	if old {
		left = min(left, item.Value.Until.Sub(p.queues.now()))
	}
	switch {
	case item.Err != nil:
		p.failed(item.Err)
	case item.Revision == 0 && p.queues.State(item.Name).Paused > 0:
		p.queues.Resume(item.Name)
	case item.Revision != 0 && left > 0:
		p.queues.Pause(item.Name, left)
	}
}
