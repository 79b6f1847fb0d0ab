package protolog

import (
	"context"
	"errors"
	"sync"
)

// maxBacklog bounds the rows that wait for somebody who watches, in bytes. More are lost for them.
const maxBacklog = 256 << 10

// ErrTooMany says that there are as many rules, or watchers, as there may be.
var ErrTooMany = errors.New("too many at the same time")

// Tail is somebody who watches rows as they come. It holds nobody up: who is slow loses rows and is told how many.
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

// offer adds a row, for the log's goroutine.
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

// lose adds to what is lost.
func (t *Tail) lose(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost += n
}

// tell wakes who waits in Next, if there is something.
func (t *Tail) tell() {
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

// end is for the log's end.
func (t *Tail) end() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.tell()
}

// Next waits for rows, and appends them to dst. lost is how many were lost behind them. It returns ctx's error, or
// ErrClosed when the log is closed.
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
