package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// background is what goes on until a Portico stops: its goroutines, and the context that ends them.
type background struct {
	group    sync.WaitGroup // every goroutine of the node
	ctx      context.Context
	end      context.CancelFunc // of ctx
	owned    context.Context    // ends with ctx, or when another process takes over
	retire   context.CancelFunc // of owned
	failed   chan error         // why the service cannot go on
	draining atomic.Bool        // the node is stopping
}

func newBackground() *background {
	b := &background{failed: make(chan error, 1)}
	b.ctx, b.end = context.WithCancel(context.Background())
	b.owned, b.retire = context.WithCancel(b.ctx)
	return b
}

// run starts a goroutine that returns at the end of its context.
func (b *background) run(work func(context.Context)) { b.group.Go(func() { work(b.ctx) }) }

// runOwned starts a goroutine for what one process of the node does: it returns at the end of its context.
func (b *background) runOwned(work func(context.Context)) { b.group.Go(func() { work(b.owned) }) }

// fail ends the service, with the first error that is not nil: a listener has ended without being told to, or another
// machine has this node's name.
func (b *background) fail(err error) {
	if err == nil {
		return
	}
	select {
	case b.failed <- err:
	default:
	}
}

// wait ends ctx, and returns when no goroutine is left.
func (b *background) wait() {
	b.end()
	b.group.Wait()
}

// staying is a check of /readyz.
func (b *background) staying() error {
	if b.draining.Load() {
		return errors.New("in progress")
	}
	return nil
}
