package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"portico/health"
	"portico/health/catalogue"
	"portico/sleep"
)

// Times of watching a new configuration.
const (
	trialTime   = 10 * time.Second // of one probe
	trialEvery  = 5 * time.Second
	confirmWait = time.Second // before a failure is believed
)

// trial is a configuration in force that is watched.
type trial struct {
	configVersion
	who    string
	before configVersion // to put back
	found  findings
	end    context.CancelCauseFunc
	done   chan struct{}
	err    error // why it is not in force any more; valid when done is closed
}

// finding is what a probe has found.
type finding struct {
	err    error
	needed bool // it has to be nil, whether or not it was looked at before
}

// findings are what the probes have found, by probe and target.
type findings map[string]finding

// look runs ImapProxyTestProbe over each listener that takes clients, and ImapSelfTestProbe at each mailbox server that
// is not in maintenance. The results count for no monitor.
func (s *service) look(ctx context.Context) findings {
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		all   = make(findings)
	)
	try := func(probe, target string, needed bool, run func(context.Context, *health.Run) error) {
		group.Go(func() {
			err := health.Try(ctx, trialTime, run)
			mu.Lock()
			defer mu.Unlock()
			all[probe+"/"+target] = finding{err, needed}
		})
	}
	back := s.monitoring.behind()
	for _, listener := range s.clients.listeners.all() {
		front := health.Front{Back: back, Left: descriptorLeft,
			Listeners: func() []health.Listener { return []health.Listener{s.clients.ownListener(listener)} }}
		try(catalogue.ImapProxyTestProbe, listener.Listener.Address, true, front.ProxyTest(s.clients.admit))
	}
	away := s.monitoring.maintenance.Servers()
	for _, server := range s.current().tier().Servers() {
		if _, planned := away[server]; !planned {
			try(catalogue.ImapSelfTestProbe, server, len(s.mailbox.activeDatabases(server)) > 0, back.SelfTest(server))
		}
	}
	group.Wait()
	return all
}

// worse returns what is worse than before: a probe that fails and did not, or a new one that fails and is needed.
func (now findings) worse(before findings) error {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		found := now[name]
		was, known := before[name]
		if found.err != nil && (known && was.err == nil || !known && found.needed) {
			return fmt.Errorf("%s: %w", name, found.err)
		}
	}
	return nil
}

// watchProbes looks again and again for a time, and returns what is worse than before, if it is so twice in a row.
func watchProbes(ctx context.Context, length time.Duration, before findings,
	look func(context.Context) findings) error {
	end := time.Now().Add(length)
	for left := length; left > 0; left = time.Until(end) {
		if look(ctx).worse(before) != nil {
			sleep.For(ctx, confirmWait)
			if why := look(ctx).worse(before); why != nil && ctx.Err() == nil {
				return why
			}
		}
		sleep.For(ctx, min(trialEvery, time.Until(end)))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
