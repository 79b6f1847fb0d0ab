package protolog

import (
	"context"
	"errors"
	"sync"
)

// maxBacklog bounds the rows that wait for one tail, in bytes. It loses later ones.
const maxBacklog = 256 << 10

// ErrTooMany says that no more rules, or tails, may be added.
var ErrTooMany = errors.New("too many at the same time")

// Tail is somebody who watches rows as they come. It delays nobody else: a slow reader loses rows and learns how many.
type Tail struct {
	filter filter
	format Format
	leave  func()
	news   chan struct{} // holds one

	mu   sync.Mutex // guards what follows
	rows []byte
	lost uint64
	over bool
}

// offer adds a row. It returns false if the row is lost. The log's goroutine calls it.
func (t *Tail) offer(row []byte) (taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || len(t.rows)+len(row) > maxBacklog {
		t.lost++
		return false
	}
	t.rows = append(t.rows, row...)
	return true
}

// lose adds to the number of lost rows.
func (t *Tail) lose(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost += n
}

// wakeNext wakes Next if it has something to return.
func (t *Tail) wakeNext() {
	t.mu.Lock()
	some := len(t.rows) > 0 || t.lost > 0 || t.over
	t.mu.Unlock()
	if some {
		select {
		case t.news <- struct{}{}:
		default:
		}
	}
}

// end makes Next return ErrClosed, because the log is closed.
func (t *Tail) end() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.wakeNext()
}

// Next waits for rows, and appends them to dst. lost is how many rows after them are lost. It returns ctx's error, or
// ErrClosed if the log is closed.
func (t *Tail) Next(ctx context.Context, dst []byte) (rows []byte, lost uint64, err error) {
	for {
		t.mu.Lock()
		dst, lost = append(dst, t.rows...), t.lost
		t.rows, t.lost = t.rows[:0], 0
		over := t.over
		t.mu.Unlock()
		switch {
		case len(dst) > 0 || lost > 0:
			return dst, lost, nil
		case over:
			return dst, 0, ErrClosed
		}
		select {
		case <-t.news:
		case <-ctx.Done():
			return dst, 0, context.Cause(ctx)
		}
	}
}

// Close ends the watching.
func (t *Tail) Close() { t.leave() }
