package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// CacheOptions of a Cache. They must be complete.
type CacheOptions struct {
	Positive time.Duration // how long an answer counts
	Negative time.Duration // how long "no such user" and a refusal count
	Size     int           // users remembered at most; at least one
	Now      func() time.Time
	Wait     Wait // for another's answer
}

// Cache remembers what a Source said, by user. Many who ask for one user at the same time are one question. That the
// source could not tell is never remembered. It is safe for concurrent use.
type Cache struct {
	source Source
	opt    CacheOptions

	mu      sync.Mutex
	answers map[string]answer
	flights map[string]*flight
}

type answer struct {
	entry Entry
	err   error
	until time.Time
}

// flight is a question under way.
type flight struct {
	answer
	done  chan struct{} // closed when the answer is there
	stale bool          // invalidated meanwhile: not to be remembered
}

// NewCache returns a cache over a source.
func NewCache(source Source, o CacheOptions) (*Cache, error) {
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"Positive", o.Positive > 0}, {"Negative", o.Negative > 0}, {"Size", o.Size > 0}, {"Now", o.Now != nil},
		{"Wait", o.Wait != nil},
	} {
		if !field.given {
			return nil, fmt.Errorf("cache options: %s is missing", field.name)
		}
	}
	c := &Cache{source: source, opt: o, answers: make(map[string]answer), flights: make(map[string]*flight)}
	return c, nil
}

// Lookup implements Source. What is remembered is answered without waiting.
func (c *Cache) Lookup(ctx context.Context, q Query) (Entry, error) {
	c.mu.Lock()
	if a, ok := c.answers[q.User]; ok {
		if c.opt.Now().Before(a.until) {
			c.mu.Unlock()
			return a.entry, a.err
		}
		delete(c.answers, q.User)
	}
	f, joins := c.flights[q.User]
	if !joins {
		f = &flight{done: make(chan struct{})}
		c.flights[q.User] = f
	}
	c.mu.Unlock()
	if joins {
		return c.join(ctx, f)
	}
	c.fly(ctx, q, f)
	return f.entry, f.err
}

// join waits for the answer to somebody else's question.
func (c *Cache) join(ctx context.Context, f *flight) (Entry, error) {
	var cancelled error
	c.opt.Wait(ctx, func(ctx context.Context) {
		select {
		case <-f.done:
		case <-ctx.Done():
			cancelled = context.Cause(ctx)
		}
	})
	if cancelled != nil {
		return Entry{}, cancelled
	}
	return f.entry, f.err
}

// fly asks the source, for all who wait: so the end of who asked first does not end it.
func (c *Cache) fly(ctx context.Context, q Query, f *flight) {
	f.err = errors.New("directory: panic in a source") // unless it has not
	defer c.land(q.User, f)
	f.entry, f.err = c.source.Lookup(context.WithoutCancel(ctx), q)
}

// land remembers the answer and gives it to all who wait.
func (c *Cache) land(user string, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	if f.stale {
		return // somebody else's flight may have taken the place
	}
	delete(c.flights, user)
	var refused *RefusedError
	switch {
	case f.err == nil:
		f.until = c.opt.Now().Add(c.opt.Positive)
	case errors.Is(f.err, ErrNotFound), errors.As(f.err, &refused):
		f.until = c.opt.Now().Add(c.opt.Negative)
	default:
		return
	}
	for name := range c.answers { // any will do
		if len(c.answers) < c.opt.Size {
			break
		}
		delete(c.answers, name)
	}
	c.answers[user] = f.answer
}

// Invalidate forgets a user, given by the canonical name that was asked for. Who asks from now on gets an answer that
// is newer.
func (c *Cache) Invalidate(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, user)
	if f, ok := c.flights[user]; ok {
		f.stale = true
		delete(c.flights, user)
	}
}

// InvalidateAll forgets everybody.
func (c *Cache) InvalidateAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.answers)
	for _, f := range c.flights {
		f.stale = true
	}
	clear(c.flights)
}
