package health

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Sink delivers alerts to people. While an alert lasts, Send is called again every few minutes, with Again set if the
// sink has accepted the alert before. Send may block until its context ends: each sink has a sender of its own.
type Sink interface {
	Send(ctx context.Context, a Alert) error
	// Name says who is told, for people to read; "" if nobody is, as by a log.
	Name() string
}

// sender delivers alerts to one sink, one at a time, so that a sink that does not answer does not delay the others.
type sender struct {
	opt  EscalatorOptions
	wake chan struct{} // holds one
	stop chan struct{} // closed by end

	mu     sync.Mutex // guards what follows
	sink   Sink
	queue  []Alert
	missed map[string]bool // causes of alerts that last, and that the sink has not taken yet
}

const (
	// maxQueue is how many alerts a sender keeps for its sink; older ones that last come again anyway.
	maxQueue = 100
	// retryEach is how long a sender waits before it tries again to send the end of an alert.
	retryEach = 30 * time.Second
	// worthTelling is for how long it tries.
	worthTelling = time.Hour
)

func newSender(sink Sink, o EscalatorOptions) *sender {
	return &sender{sink: sink, opt: o, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		missed: make(map[string]bool)}
}

// put queues an alert. It replaces a waiting alert of the same cause, unless one of the two says that the fault is
// over.
func (c *sender) put(a Alert) {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(b Alert) bool { return b.Cause == a.Cause && b.Notice == a.Notice && b.Ended.Equal(a.Ended) }
	if i := slices.IndexFunc(c.queue, same); i >= 0 && !a.Notice {
		a.Again = a.Again && c.queue[i].Again
		c.queue[i] = a
		return
	}
	if c.queue = append(c.queue, a); len(c.queue) > maxQueue {
		c.queue = c.queue[1:]
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// use replaces the sink for alerts that wait and for all that follow.
func (c *sender) use(sink Sink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sink = sink
}

// end stops the sender. Call it once.
func (c *sender) end() { close(c.stop) }

// run takes alerts to the sink until the context ends or end is called.
func (c *sender) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.stop:
			return
		case <-c.wake:
		case <-timer.C:
		}
		if c.deliver(ctx) {
			timer.Reset(retryEach)
		}
	}
}

// deliver takes to the sink what waits, each alert once. It says whether to try again.
func (c *sender) deliver(ctx context.Context) (again bool) {
	for range c.waiting() {
		a, ok := c.take()
		if !ok {
			return again
		}
		if c.send(ctx, a) || ctx.Err() != nil || a.Lasts() {
			continue
		}
		over := a.Ended
		if a.Notice {
			over = a.Since
		}
		if c.opt.Now().Sub(over) < worthTelling {
			c.putBack(a)
			again = true
		}
	}
	return again
}

// waiting returns how many alerts wait.
func (c *sender) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// take takes the next alert out of the queue. There is none if it was dropped.
func (c *sender) take() (a Alert, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return a, false
	}
	a, c.queue = c.queue[0], c.queue[1:]
	return a, true
}

// putBack puts an alert at the end of the queue.
func (c *sender) putBack(a Alert) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, a)
}

// send tells the sink, and says whether it has taken the alert.
func (c *sender) send(ctx context.Context, a Alert) bool {
	c.mu.Lock()
	sink := c.sink
	a.Again = a.Again && !c.missed[a.Cause]
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := sink.Send(ctx, a)
	c.mu.Lock()
	if err == nil {
		delete(c.missed, a.Cause)
	} else if a.Lasts() {
		c.missed[a.Cause] = true
	}
	c.mu.Unlock()
	if err != nil {
		c.opt.Failed(err)
		return false
	}
	if !a.Again {
		c.opt.Sent(a, sink)
	}
	return true
}
