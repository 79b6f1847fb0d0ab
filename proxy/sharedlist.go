package proxy

import (
	"context"
	"sync"
	"time"
)

// sharedList makes a list for all who ask for it at the same time. Each gets one that was begun after it had asked, so
// it has all that was there then. However many ask, making lists takes at most one part in listShare of the time: it
// uses the loops, which users wait for. Safe for concurrent use.
type sharedList[Item any] struct {
	collect func() []Item
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error

	turn chan struct{} // has one while somebody makes a list
	rest time.Time     // until when no list is made; belongs to whoever has the turn

	mu   sync.Mutex
	next *listing[Item] // for all who ask now; nil while nobody has
}

// listing is a list that some wait for.
type listing[Item any] struct {
	done  chan struct{} // closed when items is set
	items []Item
}

const (
	listShare   = 5
	longestRest = 500 * time.Millisecond
)

func newSharedList[Item any](opt Options, collect func() []Item) *sharedList[Item] {
	return &sharedList[Item]{collect: collect, now: opt.Now, sleep: opt.Sleep, turn: make(chan struct{}, 1)}
}

// get returns the list, which many may have: nobody may change it.
func (l *sharedList[Item]) get() []Item {
	l.mu.Lock()
	if l.next == nil {
		l.next = &listing[Item]{done: make(chan struct{})}
	}
	mine := l.next
	l.mu.Unlock()
	select {
	case <-mine.done:
		return mine.items
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	}
	select {
	case <-mine.done: // whoever had the turn before has made it
	default:
		l.make(mine)
	}
	return mine.items
}

// make makes a list. The caller has the turn.
func (l *sharedList[Item]) make(this *listing[Item]) {
	if rest := l.rest.Sub(l.now()); rest > 0 {
		l.sleep(context.Background(), rest)
	}
	l.mu.Lock()
	l.next = nil // who asks from now on gets the next one
	l.mu.Unlock()
	began := l.now()
	defer close(this.done)
	this.items = l.collect()
	ended := l.now()
	l.rest = ended.Add(min((listShare-1)*ended.Sub(began), longestRest))
}
