package protolog

import "sync/atomic"

// ringSize is how many events a ring holds. The log empties it each lookPeriod, so a loop that ends 400,000 commands a
// second loses none.
const ringSize = 8 << 10

// Ring takes events from one goroutine to the log's, without a lock. Put never waits.
type Ring struct {
	events  []Event       // made by the log before the first Slot
	_       [64]byte      // keeps the two sides' fields on different cache lines
	put     atomic.Uint64 // number of events so far
	dropped atomic.Uint64
	seen    uint64 // taken, when Slot last read it
	_       [64]byte
	taken   atomic.Uint64
}

// Slot returns an empty event for the caller to fill in before Put. It returns nil, and counts that, if the ring is
// full.
func (r *Ring) Slot() *Event {
	at := r.put.Load()
	if at-r.seen >= ringSize {
		if r.seen = r.taken.Load(); at-r.seen >= ringSize {
			r.dropped.Add(1)
			return nil
		}
	}
	return &r.events[at%ringSize]
}

// Put hands the event of Slot to the log.
func (r *Ring) Put() { r.put.Add(1) }

// end returns the number after the last event that can be taken.
func (r *Ring) end() uint64 { return r.put.Load() }

// at returns event i, which must be below end.
func (r *Ring) at(i uint64) *Event { return &r.events[i%ringSize] }

// release empties the events before to, so that they keep nothing alive, and gives their places back.
func (r *Ring) release(to uint64) {
	for i := r.taken.Load(); i < to; i++ {
		*r.at(i) = Event{}
	}
	r.taken.Store(to)
}
