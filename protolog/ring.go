package protolog

import "sync/atomic"

// ringSize is how many events wait in a ring. The log looks into it each lookPeriod, so that a loop that ends 400,000
// commands a second loses none.
const ringSize = 8 << 10

// Ring takes events from one goroutine to the log's, without a lock. Put never waits.
type Ring struct {
	events  []Event       // made by the log before anybody may put
	_       [64]byte      // what the two sides write lies apart
	put     atomic.Uint64 // number of events so far
	dropped atomic.Uint64
	seen    uint64 // taken, when the putting side last looked
	_       [64]byte
	taken   atomic.Uint64
}

// Slot returns where the next event is to be written, empty, for Put to follow; nil if there is no room, which is
// counted.
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

// Put passes on what was written.
func (r *Ring) Put() { r.put.Add(1) }

// end returns up to where events can be taken.
func (r *Ring) end() uint64 { return r.put.Load() }

// at returns an event that can be taken; next is how far the log is.
func (r *Ring) at(i uint64) *Event { return &r.events[i%ringSize] }

// release gives the places before an event back, emptied of what would be kept alive.
func (r *Ring) release(to uint64) {
	for i := r.taken.Load(); i < to; i++ {
		*r.at(i) = Event{}
	}
	r.taken.Store(to)
}
