package proxy

import "sync/atomic"

// tierInUse is a tier with a count of its users: one while it is in force, and one for each sign-in that uses it.
type tierInUse struct {
	Tier
	users  atomic.Int64 // 0 once it is freed
	onFree func()       // set before the last user leaves; may be nil
}

func newTierInUse(t Tier) *tierInUse {
	inUse := &tierInUse{Tier: t}
	inUse.users.Store(1)
	return inUse
}

// release undoes one retain, or newTierInUse. The last call frees the tier.
func (t *tierInUse) release() {
	if t.users.Add(-1) == 0 && t.onFree != nil {
		t.onFree()
	}
}

// retain adds a user. It returns false if the tier is freed already.
func (t *tierInUse) retain() bool {
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

// takeTier returns the tier in force, retained. The caller must release it.
func (s *Server) takeTier() *tierInUse {
	for {
		if t := s.tier.Load(); t.retain() { // else a reload comes between
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
	before.onFree = freed
	before.release()
}
