package node

import (
	"errors"
	"fmt"

	"portico/health/admin"
)

// checks say whether clients should be sent here. The configuration needs none: without a whole one there is no
// service to ask.
func (s *service) checks() []admin.Check {
	return []admin.Check{
		{Name: "listeners", Ready: s.listening},
		{Name: "shutdown", Ready: s.staying},
		{Name: "components", Ready: s.inService},
		{Name: "store", Ready: s.stored.failing, Advisory: true}, // clients are served without it
	}
}

func (s *service) listening() error {
	open, wanted := int(s.serving.Load()), len(s.started.Listeners)
	if open < wanted {
		return fmt.Errorf("%d of %d are open", open, wanted)
	}
	return nil
}

func (s *service) staying() error {
	if s.draining.Load() {
		return errors.New("in progress")
	}
	return nil
}
