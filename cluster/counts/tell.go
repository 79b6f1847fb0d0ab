package counts

import (
	"bytes"
	"context"
	"errors"
	"math"

	"portico/configs/store"
)

// teller tells this node's counts. It belongs to one goroutine.
type teller struct {
	e      *Exchange
	events []map[uint64]event // by kind; nil for kinds that are not of events
	told   []byte             // the list in the store
	known  bool               // the store has told, and not the list of an earlier run
	age    int                // intervals since it was written
	failed bool               // the last time
}

// event is how often something has happened since it was told first. A node that has missed a list finds the sum in
// the next one.
type event struct {
	n     uint32
	quiet int // intervals since it has happened last, that have been told
}

func newTeller(e *Exchange) *teller {
	t := &teller{e: e, events: make([]map[uint64]event, len(e.opt.Kinds))}
	for i, kind := range e.opt.Kinds {
		if kind.Events {
			t.events[i] = make(map[uint64]event)
		}
	}
	return t
}

// tell writes the list, if it has changed or is about to be forgotten.
func (t *teller) tell(ctx context.Context) {
	text := t.collect().encode()
	if len(t.e.opt.Present()) < 2 {
		text = nil // nobody listens
	}
	t.age++
	if !t.known || !bytes.Equal(text, t.told) || len(text) > 0 && t.age >= refreshed {
		if err := t.write(ctx, text); err != nil {
			if ctx.Err() == nil && !errors.Is(err, store.ErrConflict) { // else by another process of this node
				t.e.note(func(s *State) { s.Failed++ })
				if !t.failed {
					t.e.opt.Failed(err)
				}
				t.failed = true
			}
			return
		}
		t.told, t.known, t.failed, t.age = text, true, false, 0
	}
	t.forget()
}

// collect returns this node's counts now.
func (t *teller) collect() list {
	l := list{start: t.e.start, counts: make([]map[uint64]uint32, len(t.events))}
	told := 0
	for i, kind := range t.e.opt.Kinds {
		counts := make(map[uint64]uint32)
		for _, c := range kind.Own() {
			if events := t.events[i]; events != nil {
				n := min(uint64(events[c.Key].n)+uint64(c.N), math.MaxUint32)
				makeRoom(events)
				events[c.Key] = event{n: uint32(n)}
			} else {
				counts[c.Key] = c.N
			}
		}
		for key, event := range t.events[i] {
			counts[key] = event.n
		}
		l.counts[i] = counts
		told += min(len(counts), MaxCounts)
	}
	t.e.note(func(s *State) { s.Told = told })
	return l
}

// maxEvents bounds the memory of events of one kind that could not be told so far.
const maxEvents = 8 * MaxCounts

// makeRoom drops an event if there are too many. Nobody can choose which one.
func makeRoom(events map[uint64]event) {
	for key := range events {
		if len(events) < maxEvents {
			return
		}
		delete(events, key)
	}
}

// forget drops events that all have heard, so that the list does not grow.
func (t *teller) forget() {
	for _, events := range t.events {
		for key, event := range events {
			if event.quiet++; event.quiet > keptQuiet {
				delete(events, key)
				continue
			}
			events[key] = event
		}
	}
}

// write puts the list into the store, or removes it.
func (t *teller) write(ctx context.Context, text []byte) error {
	s, key := t.e.opt.Store, prefix+t.e.opt.Name
	entry, err := s.Get(ctx, key)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case len(text) > 0:
		_, err = s.CompareAndSet(ctx, key, entry.Revision, text)
		return err
	case err == nil:
		return s.Delete(ctx, key, entry.Revision)
	}
	return nil
}
