package bench

import (
	"context"
	"time"
)

// storm signs in and out.
type storm struct {
	visitor
	profile *StormProfile
}

func (*storm) row() row { return rowOpStorm }

func (o *storm) operate(ctx context.Context, s *session) error {
	if err := s.open(ctx, s.takeDue()); err != nil {
		return err
	}
	defer s.disconnect()
	if !o.profile.Logout {
		return nil
	}
	return s.main.command(rowLogout, "", time.Time{}, nil)
}
