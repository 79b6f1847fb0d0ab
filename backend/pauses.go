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
// clock: what is in the store only says that it is to. So a pause ends at each node, whatever becomes of the store. The
// first node whose pause ends removes the entry, so that a node which hears of it late, because it was suspended or cut
// off, holds nobody. It is safe for concurrent use.
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

// Pause holds the sign-ins to a server at all nodes; see [SigninQueues.Pause]. If the store fails, this node holds
// none; others do if the store has the entry all the same.
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
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches, err := p.set.Watch(ctx)
	if err != nil {
		p.failed(err)
		return
	}
	over := make(chan store.Item[storedPause])
	for first := true; ; {
		select {
		case batch, open := <-batches:
			if !open {
				return
			}
			for _, item := range batch {
				if left := p.follow(item, first); left > 0 && !first {
					time.AfterFunc(left, func() {
						select {
						case over <- item:
						case <-ctx.Done():
						}
					})
				}
			}
			first = false
		case item := <-over:
			// another node has removed it, or paused the server again; or a later node has to look at Until
			p.set.Remove(ctx, item)
		}
	}
}

// follow does what an entry says, and returns for how long. If it may be older than this process, the rest of the pause
// counts.
func (p *Pauses) follow(item store.Item[storedPause], old bool) (left time.Duration) {
	left = min(item.Value.For, MaxPause)
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
		return left
	}
	return 0
}
