package proxy

// slots bounds how many set-up goroutines compute at once, so that handshakes and sign-ins leave the relay's loops their
// processors. Waiting needs no slot: see slotConn.
type slots struct {
	taken chan struct{}
}

func newSlots(n int) *slots { return &slots{taken: make(chan struct{}, n)} }

// slot is one session's claim. It belongs to that session's goroutine and is not safe for concurrent use.
type slot struct {
	slots *slots
	held  bool
	left  bool // for good: take does nothing any more
}

// take waits for a free slot, unless one is held.
func (s *slot) take() {
	if s.held || s.left {
		return
	}
	s.slots.taken <- struct{}{}
	s.held = true
}

// give gives the slot back, if it is held.
func (s *slot) give() {
	if !s.held {
		return
	}
	<-s.slots.taken
	s.held = false
}

// leave gives the slot back for good. Connections that still refer to it work on without one.
func (s *slot) leave() {
	s.give()
	s.left = true
}

// away runs f, which may wait, without the slot.
func (s *slot) away(f func()) {
	s.give()
	defer s.take()
	f()
}
