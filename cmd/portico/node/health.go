package node

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/backend/secret"
	"portico/configs"
	"portico/health"
	"portico/health/catalogue"
	"portico/proxy"
)

// startHealth begins to look after everything.
func (s *service) startHealth() error {
	flapping, save, err := s.saved("flapping of monitors", s.stored.flapping)
	if err != nil {
		return err
	}
	s.health = health.NewEngine(health.Options{Changed: s.monitorChanged, Saved: flapping, Save: save,
		Failed: func(err error) { s.reported("flapping of monitors", err) }})
	s.circuitBreakers.OnFailure(func(server string) { s.health.HurryAll(catalogue.ScopeServer, server) })
	for _, open := range []func() error{s.openComponents, s.openOverrides, s.openRepairing, s.openMaintenance} {
		if err := open(); err != nil {
			return err
		}
	}
	for _, c := range []prometheus.Collector{s.health, s.components} {
		if err := s.registry.Register(c); err != nil {
			return err
		}
	}
	s.recoveries = newRecoveryMetrics(s.registry)
	if err := s.startRecovery(); err != nil {
		return err
	}
	if err := s.startEscalator(); err != nil {
		return err
	}
	s.probing, s.stopProbes = context.WithCancel(s.upkeep)
	ctx := s.probing
	s.group.Go(func() { s.health.Run(ctx) })
	s.group.Go(func() { s.escalator.Run(ctx) })
	s.group.Go(func() { s.recovery.Run(ctx) })
	return nil
}

// followStates begins to follow what other nodes store, and what ends with time.
func (s *service) followStates() {
	for _, run := range []func(context.Context){s.components.Run, s.overrides.Run, s.repairing.Run, s.maintenance.Run} {
		s.group.Go(func() { run(s.probing) })
	}
	s.group.Go(func() { s.followSettings(s.probing) })
	s.group.Go(func() { s.followMoves(s.probing) })
}

// monitorChanged logs a monitor's transitions.
func (s *service) monitorChanged(before health.AlertValue, now health.MonitorState) {
	event := s.log.Info()
	if now.Value == health.Degraded || now.Value == health.Unhealthy || now.Value == health.Unavailable {
		event = s.log.Warn()
	}
	event = event.Str("health_set", now.HealthSet).Str("monitor", now.Name).Str("target", now.Target).
		Stringer("before", before).Stringer("now", now.Value)
	if f := now.LastFailure; f != nil && now.Value != health.Healthy {
		event = event.Str("dependency", string(f.Dependency)).Str("phase", f.Phase).Str("error", f.Err)
	}
	event.Msg("monitor changed state")
}

// behind is what probes look at behind the proxy.
func (s *service) behind() health.Back {
	return health.Back{Tier: func() *backend.Tier { return s.now().tier() }, Mailbox: s.healthMailbox,
		Read: s.copyRead}
}

// healthPlan is all that is looked after.
func (s *service) healthPlan(config *configs.Config) health.Plan {
	timings := make(map[string]catalogue.Timing)
	for key, of := range config.Health.Timings() {
		timings[key] = catalogue.Timing(of)
	}
	var databases []string
	for _, name := range config.DatabaseNames() {
		if _, ok := config.Health.Mailboxes[name]; ok {
			databases = append(databases, name)
		}
	}
	return health.NewPlan(health.PlanOptions{
		Targets: map[catalogue.Scope][]string{
			catalogue.ScopeServer: s.now().tier().Servers(), catalogue.ScopeDatabase: databases,
			catalogue.ScopeCopy: equalCopies(config, databases),
		},
		Timings: timings, Flapping: health.Flapping(config.Health.Flapping), Runs: s.runs(config),
	})
}

// equalCopies lists the copies of those databases whose copies are the same mail: there a probe can read each copy.
func equalCopies(config *configs.Config, databases []string) (all []string) {
	for _, database := range databases {
		of := config.Databases[database]
		if !of.Interchangeable || len(of.Copies) < 2 {
			continue
		}
		for _, server := range of.Copies {
			all = append(all, health.CopyTarget(database, server))
		}
	}
	return all
}

// runs are the run functions of all probes in the catalogue.
func (s *service) runs(config *configs.Config) health.Runs {
	of, back, signIns := config.Health, s.behind(), s.signIns(config.Health.SignIns)
	front := health.Front{Back: back, Listeners: s.clientListeners, Left: descriptorLeft}
	type run = func(context.Context, *health.Run) error
	return health.Runs{
		catalogue.ImapSelfTestProbe: back.SelfTest,
		catalogue.ImapDeepTestProbe: func(database string) run { return back.DeepTest(database, of.DeepTest.Write) },
		catalogue.ImapCopyTestProbe: func(copied string) run {
			database, server := health.CutCopy(copied)
			return s.watchCopy(database, server, of.DeepTest.Failures, back.CopyTest(database, server))
		},
		catalogue.ImapProxyTestProbe:                     func(string) run { return front.ProxyTest(s.admit) },
		catalogue.ImapCTPProbe:                           front.CTP,
		catalogue.ProxyConnectionsFailedGt20PercentCheck: signIns.Check,
		catalogue.DatabaseCopyStatusCheck: func(server string) run {
			return health.Copies(server, func() []string { return s.unusable(server) })
		},
		catalogue.AverageCommandProcessingTimeGt60sCheck: func(server string) run {
			return health.AverageTime(s.load, server, of.AverageCommandTime)
		},
		catalogue.RequestsQueuedGt500Check: func(server string) run {
			return health.Queued(s.load, server, of.RequestsQueued)
		},
		catalogue.PorticoResourcesCheck: func(string) run {
			return health.Shortage(s.server.Shortages, descriptorLeft)
		},
		catalogue.PorticoStoreCheck: func(string) run { return health.Stored(s.tryStore) },
	}
}

// signIns is what the check of users' sign-ins looks at.
func (s *service) signIns(of configs.SignIns) health.SignIns {
	return health.SignIns{
		Outcomes: s.outcomes.Of, Percent: of.Percent, Users: of.Users,
		SelfTests: func(server string) []*health.Result {
			of := catalogue.Direct(catalogue.ScopeServer)
			return s.health.History(of.Set, of.Probe, server)
		},
		Elsewhere: func(server string) bool {
			monitors := s.health.Monitors()
			return slices.ContainsFunc(s.now().tier().Servers(), func(other string) bool {
				return other != server && health.ServerWorks(other, monitors)
			})
		},
	}
}

// healthMailbox returns a database's health mailbox as it is configured now.
func (s *service) healthMailbox(database string) (health.Mailbox, bool) {
	of, ok := s.now().config.Health.Mailboxes[database]
	if !ok {
		return health.Mailbox{}, false
	}
	name, err := s.now().tier().Canonical(of.User, s.server.Settings().DefaultDomain)
	if err != nil {
		name = of.User
	}
	return health.Mailbox{User: of.User, Name: name, Password: func() (secret.Value, error) {
		password, err := configs.ReadPassword(of.PasswordFile)
		return secret.Value(password), err
	}}, true
}

// healthHomes are the canonical names of those that probes sign in as, and their databases.
func healthHomes(config *configs.Config) map[string]string {
	homes := make(map[string]string)
	for database, of := range config.Health.Mailboxes {
		if user, err := backend.Canonical(of.User, config.DefaultDomain); err == nil {
			homes[user] = database
		}
	}
	return homes
}

// clientListeners lists the listeners that take clients, as a client on this machine finds them.
func (s *service) clientListeners() []health.Listener {
	var all []health.Listener
	for i, addr := range s.listeners.addresses {
		of := s.started.Listeners[i]
		if of.ProxyProtocol { // it wants to hear from a proxy first
			continue
		}
		all = append(all, health.Listener{Address: reachable(addr), Implicit: of.TLS == configs.TLSImplicit,
			StartTLS: of.TLS == configs.TLSStartTLS})
	}
	slices.SortStableFunc(all, func(a, b health.Listener) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

func rank(d health.Listener) int {
	switch {
	case d.Implicit:
		return 0
	case d.StartTLS:
		return 1
	}
	return 2
}

// reachable is a listener's address, or loopback where it listens everywhere.
func reachable(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return addr.String()
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at.Addr().Is6() && !at.Addr().Is4In6() {
		loopback = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(loopback, at.Port()).String()
}

// admit is health.Admit.
func (s *service) admit(source netip.AddrPort, shown, password secret.Value) (revoke func()) {
	return s.server.Admit(proxy.ProbePass{Source: source, Secret: shown, Password: password})
}

// load is what the relay counts, for the counter checks.
func (s *service) load() []health.Load {
	byServer := make(map[string]*health.Load)
	of := func(server string) *health.Load {
		if byServer[server] == nil {
			byServer[server] = &health.Load{Server: server}
		}
		return byServer[server]
	}
	for server, stats := range s.relay.Stats().Servers {
		l := of(server)
		l.Queued = stats.Queued
		for _, h := range stats.Commands {
			if h != nil {
				l.Finished += h.Count
				l.Spent += time.Duration(h.Sum)
			}
		}
	}
	for _, session := range s.server.Sessions() {
		if session.Oldest > 0 {
			l := of(session.Server)
			l.Open++
			l.Age += session.Oldest
		}
	}
	all := make([]health.Load, 0, len(byServer))
	for _, l := range byServer {
		all = append(all, *l)
	}
	return all
}
