package proxy

import "sync/atomic"

// tierInUse is a tier with what keeps it: being in force, and each sign-in that began with it.
type tierInUse struct {
	Tier
	users atomic.Int64 // 0 once it is freed
	freed func()       // set before the last user leaves; may be nil
}

func newTierInUse(t Tier) *tierInUse {
	inUse := &tierInUse{Tier: t}
	inUse.users.Store(1)
	return inUse
}

// leave gives back what take or newTierInUse took. The last one frees the tier.
func (t *tierInUse) leave() {
	if t.users.Add(-1) == 0 && t.freed != nil {
		t.freed()
	}
}

// take returns false if the tier is freed already.
func (t *tierInUse) take() bool {
	for {
		n := t.users.Load()
		if n == 0 {
			return false
		}
		if t.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// takeTier returns the tier in force, which stays open until leave.
func (s *Server) takeTier() *tierInUse {
	for {
		if t := s.tier.Load(); t.take() { // else a reload comes between
			return t
		}
	}
}

// useTier puts a tier in force. freed is called when no sign-in uses the one before any more; if that is the same
// tier, never.
func (s *Server) useTier(t Tier, freed func()) {
	before := s.tier.Load()
	if before.Tier == t {
		return
	}
	s.tier.Store(newTierInUse(t))
	before.freed = freed
	before.leave()
}
