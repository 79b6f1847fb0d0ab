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
func keepMechanisms(ctx context.Context, config *configuration, log *nodeLog) {
	ticker := time.NewTicker(mechanismsEvery)
	defer ticker.Stop()
	for {
		askMechanisms(ctx, config, log)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func askMechanisms(ctx context.Context, config *configuration, log *nodeLog) {
	ctx, cancel := context.WithTimeout(ctx, mechanismsTime)
	defer cancel()
	if err := config.current().tier().AskMechanisms(ctx); err != nil {
		log.Warn().Err(err).Msg("cannot store the capabilities of mailbox servers")
	}
}
