package node

import (
	"context"
	"time"
)

// Of asking the mailbox servers which mechanisms they offer.
const (
	surveyEvery = time.Minute
	surveyTime  = 15 * time.Second
)

// keepSurvey asks at once, and then again and again, until ctx ends.
func (s *service) keepSurvey(ctx context.Context) {
	ticker := time.NewTicker(surveyEvery)
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
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	if err := (control{s}).tier().Survey(ctx); err != nil {
		s.log.Warn().Err(err).Msg("cannot store the capabilities of mailbox servers")
	}
}
