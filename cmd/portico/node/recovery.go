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

// recovering is what is done about failing monitors: which steps (responders), and how (actors). It does not change
// after start; responders guards itself.
type recovering struct {
	responders *recovery.Responders
	metrics    *recoveryMetrics

	config     *configuration
	log        *nodeLog
	store      *nodeStore
	mailbox    *mailboxState
	components *componentStates
	monitoring *monitoring
	moves      *mover
	cluster    *membership // nil for a node alone
	// restartFrontEnd builds all that leads to clients and mailbox servers again. Sessions go on.
	restartFrontEnd func(context.Context) error
	helped          func(recovery.Record) // told what has mended something
	canaries        canariesAPI
}

// start continues what the process before was doing, as stored.
func (r *recovering) start() (err error) {
	active := r.mailbox.active
	r.responders, err = recovery.New(context.Background(), recovery.Options{
		Monitors: r.monitors, Off: r.offFor, Active: r.mailbox.activeOn, Verify: r.monitoring.verify,
		Actors: r.actors(), Site: r.monitoring.shared.recovery(), Node: r.config.node(), Store: r.mailbox.site,
		Recorded: r.record,
		Failed:   r.log.reporter("recovery"),
		Helped:   r.helped, Follow: r.monitoring.engine.Follow, Standby: r.standby,
		Blocked: func(server string) bool { return slices.Contains(active.BlockedBy(server), byHealth) },
		InUse:   func(server string) bool { return len(r.mailbox.activeDatabases(server)) > 0 },
		Users: func(server string) (well, mixed bool) {
			summary := r.mailbox.outcomes.Of(server)
			return health.LatestWell(summary), summary.Mixed()
		},
		Read: func(ctx context.Context, database, server string) error {
			return r.monitoring.behind().ReadCopy(ctx, database, server,
				r.config.current().config.Health.DeepTest.Timeout)
		},
	})
	if err == nil {
		r.use(r.config.current().config)
	}
	return err
}

// use puts a configuration's steps in force.
func (r *recovering) use(config *configs.Config) {
	r.responders.Use(recoveryPlan(config.Health.Recovery))
}

// monitors returns the monitors for which something may be done; nil while RecoveryActionsEnabled is Inactive.
func (r *recovering) monitors() []health.MonitorState {
	if r.components.set.State(components.RecoveryActions) != components.Active {
		return nil
	}
	return r.monitoring.engine.Monitors()
}

// offFor says whether RecoveryActionsEnabled is Inactive for a mailbox server.
func (r *recovering) offFor(server string) bool {
	return r.components.set.StateOf(components.RecoveryActions, server) != components.Active
}

// record logs and counts what recovery does.
func (r *recovering) record(done recovery.Record) {
	r.metrics.count(done)
	event := r.log.Warn()
	switch {
	case done.Exception != "":
		event = r.log.Error().Str("error", done.Exception)
	case done.Result == recovery.ResultSkipped, done.Result == recovery.ResultThrottled:
		event = r.log.Info()
	}
	event.Uint64("instance", done.Instance).Str("action", done.ID).Str("resource", done.Resource).
		Str("requestor", done.Requestor).Str("monitor", done.Monitor).Str("state", string(done.State)).
		Str("result", string(done.Result)).Str("context", done.Message).Msg("recovery")
}

// recoveryPlan is the configuration in recovery's words.
func recoveryPlan(settings configs.Recovery) recovery.Plan {
	configured, ladders := settings.Ladders.ByKey(), make(map[string][]recovery.Action)
	for _, e := range catalogue.All() {
		if e.Ladder == "" {
			continue
		}
		var steps []recovery.Action // none is a ladder too: recovery watches the monitor and does nothing
		for _, step := range configured[e.Ladder] {
			steps = append(steps, recoverySteps[step])
		}
		ladders[e.Monitor] = steps
	}
	t := settings.Throttle
	return recovery.Plan{
		Mode: recoveryModes[settings.Mode], Wait: settings.Wait, CommonPercent: settings.CommonCausePercent,
		Ladders: ladders,
		Throttles: map[recovery.Action]recovery.Throttle{
			recovery.RestartService:  recovery.Throttle(t.RestartService),
			recovery.Failover:        recovery.Throttle(t.Failover),
			recovery.RestartServer:   recovery.Throttle(t.RestartServer),
			recovery.ProtocolLog:     recovery.Throttle(t.ProtocolLog),
			recovery.RestartFrontEnd: recovery.Throttle(t.RestartFrontEnd),
			recovery.OutOfService:    recovery.Throttle(t.OutOfService),
			recovery.StopCanary:      {InAnHour: -1, InADay: -1, GroupInADay: -1}, // a canary is stopped once
		},
	}
}

// actors do what recovery wants done.
func (r *recovering) actors() map[recovery.Action]recovery.Actor {
	return map[recovery.Action]recovery.Actor{
		recovery.RestartService: {Do: func(ctx context.Context, c recovery.Case) (string, error) {
			return r.restartMailbox(ctx, "health.recovery.restart_service",
				r.settings().RestartService, c)
		}},
		recovery.Failover:      {Do: r.failover, Undo: r.allowActivation},
		recovery.RestartServer: {Do: r.restartMachine},
		recovery.ProtocolLog:   {Do: r.logProbes, Undo: r.logProbesNoMore},
		recovery.RestartFrontEnd: {Do: func(ctx context.Context, _ recovery.Case) (string, error) {
			if err := r.restartFrontEnd(ctx); err != nil {
				return "", err
			}
			return "front end restarted; open sessions continue", nil
		}},
		recovery.StopCanary: {Do: r.stopCanary},
		recovery.OutOfService: {
			Do: func(ctx context.Context, _ recovery.Case) (string, error) {
				if err := r.setImapProxy(ctx, components.Inactive); err != nil {
					return "", err
				}
				return "new clients are refused", nil
			},
			Undo: func(ctx context.Context, _ recovery.Case) error { return r.setImapProxy(ctx, components.Active) },
		},
	}
}

// settings are recovery's, as configured now.
func (r *recovering) settings() configs.Recovery { return r.config.current().config.Health.Recovery }

// restartMailbox has a hook restart a mailbox server, or its service.
func (r *recovering) restartMailbox(ctx context.Context, key string, settings configs.Hook,
	c recovery.Case) (string, error) {
	if err := r.config.current().known(c.Server); err != nil {
		return "", err
	}
	hook, err := newHook(settings)
	if err != nil {
		return "", err
	}
	if hook == nil {
		return "", recovery.Skipped("no hook is configured: " + key)
	}
	if err := hook.Restart(ctx, c.Server, c.Instance); err != nil {
		return "", err
	}
	return "the hook has run", nil
}

// restartMachine is restartMailbox for a whole machine, which nobody's mail may be on.
func (r *recovering) restartMachine(ctx context.Context, c recovery.Case) (string, error) {
	if active := r.mailbox.activeDatabases(c.Server); len(active) > 0 {
		return "", recovery.Skipped(strings.Join(active, ", ") +
			" is active there: a server is not restarted while it serves users")
	}
	return r.restartMailbox(ctx, "health.recovery.restart_server", r.settings().RestartServer, c)
}

// standby says to which mailbox servers failover would move databases, once recovery's blocks of some are lifted.
func (r *recovering) standby(ctx context.Context, c recovery.Case, lifted []string) map[string]string {
	found := r.config.current().tier().Standby(ctx, c.Server, backend.MoveOptions{
		ServerFails: r.monitoring.serverFails,
		Lifted:      func(server, by string) bool { return by == byHealth && slices.Contains(lifted, server) },
	})
	maps.DeleteFunc(found, func(database, _ string) bool { return c.Alone && database != c.Database })
	return found
}

// failover moves what is active on a server, and prevents that it comes back automatically; or one database, if the
// others are well.
func (r *recovering) failover(ctx context.Context, c recovery.Case) (string, error) {
	var moves []backend.MoveResult
	var err error
	blocked := slices.Contains(r.mailbox.active.BlockedBy(c.Server), byHealth)
	switch active := r.mailbox.activeDatabases(c.Server); {
	case c.Alone:
		moves, err = r.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
			return r.config.current().tier().MoveAway(ctx, c.Database, c.Server, o)
		})
	case len(active) == 0 && blocked && c.Resumed:
		return "nothing is active there any more", nil
	case len(active) == 0:
		return "", recovery.Skipped("nothing is active there")
	default:
		if err := r.mailbox.active.Block(ctx, c.Server, byHealth); err != nil {
			return "", err
		}
		moves, err = r.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
			return r.config.current().tier().Evacuate(ctx, c.Server, o)
		})
	}
	if err != nil {
		return "", err
	}
	moved, lines := 0, []string{}
	for _, m := range moves {
		if m.Err == nil {
			moved++
			lines = append(lines, m.Database+" moved to "+m.To)
			r.monitoring.engine.HurryAll(catalogue.ScopeDatabase, m.Database)
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
		if err := r.mailbox.active.Unblock(ctx, c.Server, byHealth); err != nil {
			return what, err
		}
	}
	return "", recovery.Skipped(what)
}

// move moves databases away from a server that fails, with patience for nodes of the site that are absent.
func (r *recovering) move(ctx context.Context, move moving) ([]backend.MoveResult, error) {
	patience, err := r.cluster.patience(r.config.current().config.Cluster)
	if err != nil {
		return nil, err
	}
	return r.moves.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		o.Patience, o.Fence = patience.Patience, patience.Fence
		return move(ctx, o)
	})
}

// stopCanary sends the users of a canary back, with patience for nodes of the site that are absent.
func (r *recovering) stopCanary(ctx context.Context, c recovery.Case) (string, error) {
	if c.Canary == "" {
		return "", recovery.Skipped("no canary is named")
	}
	why := r.monitoring.lastFailure(c.Monitor)
	patience, err := r.cluster.patience(r.config.current().config.Cluster)
	if err != nil {
		return "", err
	}
	change, err := r.canaries.stop(ctx, c.Canary, c.Server, patience)
	switch {
	case err != nil:
		return "", err
	case change.Was == change.Now:
		return "", recovery.Skipped("the canary has ended meanwhile")
	}
	return fmt.Sprintf("canary %s stopped (it was %s): %s", c.Canary, change.Was, why), nil
}

// allowActivation lifts the block of failover. Nothing moves back by that.
func (r *recovering) allowActivation(ctx context.Context, c recovery.Case) error {
	return r.mailbox.active.Unblock(ctx, c.Server, byHealth)
}

// ruleOf is the rule of the protocol log that recovery makes for a database's health mailbox.
func ruleOf(database string) string { return "health-" + database }

// logProbes switches the protocol log on for the account that looks into a database, for a day at most, and looks
// once.
func (r *recovering) logProbes(ctx context.Context, c recovery.Case) (string, error) {
	mailbox, ok := r.monitoring.healthMailbox(c.Database)
	if !ok {
		return "", recovery.Skipped("no health mailbox is configured")
	}
	id := ruleOf(c.Database)
	now := time.Now().UTC().Truncate(time.Millisecond)
	rule := protolog.Rule{ID: id, Filter: protolog.Filter{User: mailbox.Name}, Since: now,
		Until: now.Add(longestProbeLog)}
	_, err := r.store.rules.Put(ctx, store.Item[protolog.Rule]{Name: id, Value: rule})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return "", err
	}
	return fmt.Sprintf("rule %s is on for %s: portico log tail --user %s", id, mailbox.Name, mailbox.Name), nil
}

// longestProbeLog is how long probes are logged if nobody ends it.
const longestProbeLog = 24 * time.Hour

// logProbesNoMore ends what logProbes has begun.
func (r *recovering) logProbesNoMore(ctx context.Context, c recovery.Case) error {
	return r.store.rules.Drop(ctx, ruleOf(c.Database))
}

func (r *recovering) setImapProxy(ctx context.Context, state string) error {
	return r.components.ask(ctx, components.Request{Component: components.ImapProxy, Requester: requesterHealth,
		State: state, Source: components.SourceRecovery})
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
