package admin

import "sync"

// shares are places for requests that last. One caller may have half of them, so that others find room.
type shares struct {
	most int

	mu    sync.Mutex
	taken int
	by    map[string]int // places of each caller
}

func newShares(most int) *shares { return &shares{most: most, by: make(map[string]int)} }

// take gives a caller a place, if there is one.
func (s *shares) take(caller string) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.by[caller] >= s.most/2 {
		return false
	}
	s.taken++
	s.by[caller]++
	return true
}

// leave gives a caller's place back.
func (s *shares) leave(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[caller]--; s.by[caller] == 0 {
		delete(s.by, caller)
	}
}
