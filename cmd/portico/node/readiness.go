package node

import (
	"errors"

	"portico/health/admin"
)

// checks say whether clients should be sent here. The configuration needs none: without a whole one there is no
// service to ask.
func (s *service) checks() []admin.Check {
	return []admin.Check{
		{Name: "listeners", Ready: s.listeners.ready},
		{Name: "shutdown", Ready: s.staying},
		{Name: "components", Ready: s.inService},
		{Name: "store", Ready: s.storeState.failing, Advisory: true}, // clients are served without it
	}
}

func (s *service) staying() error {
	if s.draining.Load() {
		return errors.New("in progress")
	}
	return nil
}
