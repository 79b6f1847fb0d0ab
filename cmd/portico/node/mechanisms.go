package node

import (
	"context"
	"time"
)

// How often, and for how long, the mailbox servers are asked which mechanisms they offer.
const (
	mechanismsEvery = time.Minute
	mechanismsTime  = 15 * time.Second
)

// keepMechanisms asks the mailbox servers which mechanisms they offer, now and at intervals, until ctx ends.
func (s *service) keepMechanisms(ctx context.Context) {
	ticker := time.NewTicker(mechanismsEvery)
	defer ticker.Stop()
	for {
		s.askServers(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *service) askServers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, mechanismsTime)
	defer cancel()
	if err := s.now().tier().AskMechanisms(ctx); err != nil {
		s.log.Warn().Err(err).Msg("cannot store the capabilities of mailbox servers")
	}
}
