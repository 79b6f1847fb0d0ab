package move

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"portico/configs/store"
	"portico/sleep"
)

var errAway = errors.New("no answer")

// link is how one process sees a store that all share: late, and sometimes not at all. Of a change that has no answer,
// nobody knows whether it is made.
type link struct {
	shared store.Store
	seen   *store.Replica
	random *random
	wrote  func(before bool) // called around each write
	hidden func(store.Entry) bool

	mu    sync.Mutex
	cut   time.Time // since when; zero if it is not
	upTo  uint64
	moved chan struct{}
}

// random are numbers for several goroutines.
type random struct {
	faster time.Duration // times are divided by this

	mu  sync.Mutex
	src *rand.Rand
}

func (r *random) below(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.IntN(n)
}

// pause sleeps for less than d.
func (r *random) pause(ctx context.Context, d time.Duration) {
	sleep.For(ctx, time.Duration(r.below(int(d))))
}

// newLink returns a link that has all that is there now, nil if its process is dead.
func newLink(ctx context.Context, shared store.Store, r *random, wrote func(bool)) *link {
	l := &link{shared: shared, seen: store.NewReplica(), random: r, wrote: wrote, moved: make(chan struct{})}
	changes, err := shared.Watch(ctx, "")
	if err != nil { // the process is dead already
		return nil
	}
	l.apply(<-changes)
	go func() {
		for batch := range changes { // it has only the latest state of each key
			r.pause(ctx, 20*time.Millisecond)
			for l.isCut() && ctx.Err() == nil {
				sleep.For(ctx, 100*time.Millisecond)
			}
			if ctx.Err() == nil {
				l.apply(batch)
			}
		}
	}()
	return l
}

func (l *link) apply(batch []store.Change) {
	l.seen.Apply(batch...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(batch) > 0 {
		l.upTo = batch[len(batch)-1].Revision
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *link) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.cut.IsZero()
}

func (l *link) cutOff() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = time.Now()
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = time.Time{}
}

// leased says whether a lease of this process would still hold.
func (l *link) leased() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut.IsZero() || time.Since(l.cut) < 5*time.Second
}

func (l *link) Get(ctx context.Context, key string) (store.Entry, error) { return l.seen.Get(ctx, key) }

func (l *link) List(ctx context.Context, prefix string) (all []store.Entry, err error) {
	found, err := l.seen.List(ctx, prefix)
	for _, e := range found {
		if l.hidden == nil || !l.hidden(e) {
			all = append(all, e)
		}
	}
	return all, err
}

func (l *link) Watch(ctx context.Context, prefix string) (<-chan []store.Change, error) {
	return l.seen.Watch(ctx, prefix)
}

func (l *link) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return linkWriter{l, l.shared}.CompareAndSet(ctx, key, revision, value)
}

func (l *link) Delete(ctx context.Context, key string, revision uint64) error {
	return linkWriter{l, l.shared}.Delete(ctx, key, revision)
}

func (l *link) While(key string, revision uint64) store.Writer {
	return linkWriter{l, l.shared.While(key, revision)}
}

func (l *link) Close() error { return nil }

type linkWriter struct {
	l  *link
	to store.Writer
}

func (w linkWriter) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (made uint64,
	err error) {
	err = w.write(ctx, func(ctx context.Context) (uint64, error) {
		made, err = w.to.CompareAndSet(ctx, key, revision, value)
		return made, err
	})
	return made, err
}

func (w linkWriter) Delete(ctx context.Context, key string, revision uint64) error {
	return w.write(ctx, func(ctx context.Context) (uint64, error) { return 0, w.to.Delete(ctx, key, revision) })
}

// write sends a change, which may arrive late, and after its writer's death. It returns when this process sees it.
func (w linkWriter) write(ctx context.Context, change func(context.Context) (uint64, error)) error {
	w.l.wrote(true)
	if err := ctx.Err(); err != nil {
		return err
	}
	arrives := !w.l.isCut() || w.l.random.below(2) == 0
	w.l.random.pause(ctx, 20*time.Millisecond)
	var made uint64
	var err error
	if arrives {
		made, err = change(context.WithoutCancel(ctx))
		w.l.wrote(false)
	}
	if !arrives || w.l.isCut() { // its answer does not come through
		sleep.For(ctx, 5*time.Second)
		return errAway
	}
	if err != nil {
		return err
	}
	for {
		w.l.mu.Lock()
		upTo, moved := w.l.upTo, w.l.moved
		w.l.mu.Unlock()
		if upTo >= made {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errAway
		}
	}
}
