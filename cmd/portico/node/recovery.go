package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/configs"
	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
	"portico/health/components"
	"portico/health/recovery"
	"portico/protolog"
)

// byHealth is who blocks mailbox servers for recovery, and requesterHealth who takes components out of service.
const (
	byHealth        = "health"
	requesterHealth = "HealthAPI"
)

// startRecovery goes on where the process before has ended.
func (s *service) startRecovery() (err error) {
	s.recovery, err = recovery.New(context.Background(), recovery.Options{
		Monitors: s.recoverable, Off: s.recoveryOff, Active: s.activeOn, Verify: s.verify, Actors: s.actors(),
		Store: s.site, Tell: s.recoveryTold,
		Failed: func(err error) { s.reported("recovery", err) }, Helped: s.recoveryHelped, Follow: s.health.Follow,
		Standby: s.standby,
		Blocked: func(server string) bool { return slices.Contains(s.active.BlockedBy(server), byHealth) },
		InUse:   func(server string) bool { return len(s.activeDatabases(server)) > 0 },
		Users: func(server string) (well, mixed bool) {
			summary := s.outcomes.Of(server)
			return health.LatestWell(summary), summary.Mixed()
		},
		Read: func(ctx context.Context, database, server string) error {
			return s.behind().ReadCopy(ctx, database, server, s.now().config.Health.DeepTest.Timeout)
		},
	})
	if err == nil {
		s.recovery.Use(recoveryPlan(s.now().config.Health.Recovery))
	}
	return err
}

// recoverable returns the monitors for which something may be done; nil while RecoveryActionsEnabled is Inactive.
func (s *service) recoverable() []health.MonitorState {
	if s.components.State(components.RecoveryActions) != components.Active {
		return nil
	}
	return s.health.Monitors()
}

// recoveryOff says whether RecoveryActionsEnabled is Inactive for a mailbox server.
func (s *service) recoveryOff(server string) bool {
	return s.components.StateOf(components.RecoveryActions, server) != components.Active
}

func (s *service) activeOn(database string) string {
	server, _ := s.active.Active(database)
	return server
}

// verify runs the probe that a monitor judges.
func (s *service) verify(ctx context.Context, m health.MonitorState) *health.Result {
	results, err := s.health.RunNow(ctx, m.HealthSet, m.Probe, m.Target, health.ByHand{})
	if err != nil || len(results) != 1 {
		return nil
	}
	return results[0]
}

// recoveryTold logs and counts what recovery does.
func (s *service) recoveryTold(r recovery.Record) {
	s.recoveries.count(r)
	event := s.log.Warn()
	switch {
	case r.Exception != "":
		event = s.log.Error().Str("error", r.Exception)
	case r.Result == recovery.ResultSkipped, r.Result == recovery.ResultThrottled:
		event = s.log.Info()
	}
	event.Uint64("instance", r.Instance).Str("action", r.ID).Str("resource", r.Resource).Str("requestor", r.Requestor).
		Str("monitor", r.Monitor).
		Str("state", string(r.State)).Str("result", string(r.Result)).Str("context", r.Message).Msg("recovery")
}

// recoveryPlan is the configuration in recovery's words.
func recoveryPlan(of configs.Recovery) recovery.Plan {
	configured, ladders := of.Ladders.ByKey(), make(map[string][]recovery.Action)
	for _, e := range catalogue.All() {
		if e.Ladder == "" {
			continue
		}
		var steps []recovery.Action // none is a ladder too: recovery watches the monitor and does nothing
		for _, step := range configured[e.Ladder] {
			steps = append(steps, recovery.Action(step))
		}
		ladders[e.Monitor] = steps
	}
	t := of.Throttle
	return recovery.Plan{
		Mode: recovery.Mode(of.Mode), Wait: of.Wait, CommonPercent: of.CommonCausePercent,
		Ladders: ladders,
		Throttles: map[recovery.Action]recovery.Throttle{
			recovery.RestartService:  recovery.Throttle(t.RestartService),
			recovery.Failover:        recovery.Throttle(t.Failover),
			recovery.RestartServer:   recovery.Throttle(t.RestartServer),
			recovery.ProtocolLog:     recovery.Throttle(t.ProtocolLog),
			recovery.RestartFrontEnd: recovery.Throttle(t.RestartFrontEnd),
			recovery.OutOfService:    recovery.Throttle(t.OutOfService),
		},
	}
}

// actors do what recovery wants done.
func (s *service) actors() map[recovery.Action]recovery.Actor {
	return map[recovery.Action]recovery.Actor{
		recovery.RestartService: {Do: func(ctx context.Context, c recovery.Case) (string, error) {
			return s.restartMailbox(ctx, "health.recovery.restart_service",
				s.recoveryConfig().RestartService, c.Server)
		}},
		recovery.Failover:      {Do: s.failover, Undo: s.allowActivation},
		recovery.RestartServer: {Do: s.restartMachine},
		recovery.ProtocolLog:   {Do: s.logProbes, Undo: s.logProbesNoMore},
		recovery.RestartFrontEnd: {Do: func(ctx context.Context, _ recovery.Case) (string, error) {
			if err := s.restartFrontEnd(ctx); err != nil {
				return "", err
			}
			return "front end restarted; open sessions continue", nil
		}},
		recovery.OutOfService: {
			Do: func(ctx context.Context, _ recovery.Case) (string, error) {
				if err := s.setImapProxy(ctx, components.Inactive); err != nil {
					return "", err
				}
				return "new clients are refused", nil
			},
			Undo: func(ctx context.Context, _ recovery.Case) error { return s.setImapProxy(ctx, components.Active) },
		},
	}
}

func (s *service) recoveryConfig() configs.Recovery { return s.now().config.Health.Recovery }

// restartMailbox has a hook restart a mailbox server, or its service.
func (s *service) restartMailbox(ctx context.Context, key string, of configs.Hook, server string) (string, error) {
	if err := s.known(server); err != nil {
		return "", err
	}
	hook, err := newHook(of)
	if err != nil {
		return "", err
	}
	if hook == nil {
		return "", recovery.Skipped("no hook is configured: " + key)
	}
	if err := hook.Restart(ctx, server); err != nil {
		return "", err
	}
	return "the hook has run", nil
}

// restartMachine is restartMailbox for a whole machine, which nobody's mail may be on.
func (s *service) restartMachine(ctx context.Context, c recovery.Case) (string, error) {
	if active := s.activeDatabases(c.Server); len(active) > 0 {
		return "", recovery.Skipped(strings.Join(active, ", ") +
			" is active there: a server is not restarted while it serves users")
	}
	return s.restartMailbox(ctx, "health.recovery.restart_server", s.recoveryConfig().RestartServer, c.Server)
}

// activeDatabases lists what is active on a server.
func (s *service) activeDatabases(server string) []string {
	var all []string
	for _, copied := range s.active.Copies() {
		if copied.Active && copied.Server == server {
			all = append(all, copied.Database)
		}
	}
	return all
}

// standby says to which mailbox servers failover would move databases, once recovery's blocks of some are lifted.
func (s *service) standby(ctx context.Context, c recovery.Case, lifted []string) map[string]string {
	found := s.now().tier().Standby(ctx, c.Server, backend.MoveOptions{
		ServerFails: s.serverFails,
		Lifted:      func(server, by string) bool { return by == byHealth && slices.Contains(lifted, server) },
	})
	maps.DeleteFunc(found, func(database, _ string) bool { return c.Alone && database != c.Database })
	return found
}

// serverFails returns why nothing must move to a mailbox server although it may answer, or nil.
func (s *service) serverFails(server string) error {
	return health.ServerFails(server, s.health.Monitors())
}

// failover moves what is active on a server, and prevents that it comes back automatically; or one database, if the
// others are well.
func (s *service) failover(ctx context.Context, c recovery.Case) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, failoverTime)
	defer cancel()
	var moves []backend.MoveResult
	var err error
	blocked := slices.Contains(s.active.BlockedBy(c.Server), byHealth)
	switch active := s.activeDatabases(c.Server); {
	case c.Alone:
		moves, err = s.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
			return s.now().tier().MoveAway(ctx, c.Database, c.Server, o)
		})
	case len(active) == 0 && blocked && c.Resumed:
		return "nothing is active there any more", nil
	case len(active) == 0:
		return "", recovery.Skipped("nothing is active there")
	default:
		if err := s.active.Block(ctx, c.Server, byHealth); err != nil {
			return "", err
		}
		moves, err = s.evacuate(ctx, c.Server)
	}
	if err != nil {
		return "", err
	}
	moved, lines := 0, []string{}
	for _, m := range moves {
		if m.Err == nil {
			moved++
			lines = append(lines, m.Database+" moved to "+m.To)
			s.health.HurryAll(catalogue.ScopeDatabase, m.Database)
		} else {
			lines = append(lines, m.Database+" kept: "+m.Err.Error())
		}
	}
	what := strings.Join(lines, "; ")
	switch kept := len(moves) - moved; {
	case ctx.Err() != nil, moved > 0 && kept == 0:
		return what, ctx.Err()
	case moved > 0:
		return "", recovery.Partial(fmt.Sprintf("%d of %d databases stayed: %s", kept, len(moves), what))
	}
	if !c.Alone && !blocked {
		if err := s.active.Unblock(ctx, c.Server, byHealth); err != nil {
			return what, err
		}
	}
	return "", recovery.Skipped(what)
}

// failoverTime bounds a failover.
const failoverTime = 5 * time.Minute

// allowActivation lifts the block of failover. Nothing moves back by that.
func (s *service) allowActivation(ctx context.Context, c recovery.Case) error {
	return s.active.Unblock(ctx, c.Server, byHealth)
}

// ruleOf is the rule of the protocol log that recovery makes for a database's health mailbox.
func ruleOf(database string) string { return "health-" + database }

// logProbes switches the protocol log on for the account that looks into a database, for a day at most, and looks
// once.
func (s *service) logProbes(ctx context.Context, c recovery.Case) (string, error) {
	mailbox, ok := s.healthMailbox(c.Database)
	if !ok {
		return "", recovery.Skipped("no health mailbox is configured")
	}
	id := ruleOf(c.Database)
	now := time.Now().UTC().Truncate(time.Millisecond)
	rule := protolog.Rule{ID: id, Filter: protolog.Filter{User: mailbox.Name}, Since: now,
		Until: now.Add(longestProbeLog)}
	_, err := s.stored.rules.Put(ctx, store.Item[protolog.Rule]{Name: id, Value: rule})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return "", err
	}
	return fmt.Sprintf("rule %s is on for %s: portico log tail --user %s", id, mailbox.Name, mailbox.Name), nil
}

// longestProbeLog is how long probes are logged if nobody ends it.
const longestProbeLog = 24 * time.Hour

// logProbesNoMore ends what logProbes has begun.
func (s *service) logProbesNoMore(ctx context.Context, c recovery.Case) error {
	return s.stored.rules.Drop(ctx, ruleOf(c.Database))
}

func (s *service) setImapProxy(ctx context.Context, state string) error {
	return s.setComponent(ctx, components.Request{Component: components.ImapProxy, Requester: requesterHealth,
		State: state, Source: components.SourceRecovery})
}

// restartFrontEnd builds listeners and set-up again from the configuration in force: certificates and keys are read
// again, and all that leads to directory and mailbox servers is new. Sessions go on.
func (s *service) restartFrontEnd(ctx context.Context) error {
	if err := s.apply(ctx, func(now *inForce) (*inForce, error) {
		front, err := newFront(ctx, now.config, s.lasting)
		next := *now
		next.front = front
		return &next, err
	}, nil); err != nil {
		return err
	}
	return s.listeners.relisten()
}

// recoveryMetrics count what recovery does.
type recoveryMetrics struct{ actions *prometheus.CounterVec }

func newRecoveryMetrics(reg prometheus.Registerer) *recoveryMetrics {
	m := &recoveryMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portico_recovery_actions_total",
		Help: "Completed recovery actions, including skipped and throttled ones.",
	}, []string{"action", "result"})}
	reg.MustRegister(m.actions)
	return m
}

func (m *recoveryMetrics) count(r recovery.Record) {
	if r.State == recovery.Finished {
		m.actions.WithLabelValues(r.ID, string(r.Result)).Inc()
	}
}
