//go:build !linux

package relay

func (r *rig) isLoops() bool { return false }

func (r *rig) holdsBytes() bool { return true }

func (r *rig) checkBounded() { checkPumpsBounded(r) }
