package node

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend"
	"portico/backend/secret"
	"portico/configs"
	"portico/health"
	"portico/health/admin"
	"portico/proxy"
)

// counterWindow is over how long the counter checks look; counterFailures is how many windows in a row turn their
// monitors (EXCHANGE.md section 2).
const (
	counterWindow   = time.Minute
	counterFailures = 5
)

// resourcesTiming is that of the checks of Portico's own resources, which cost next to nothing.
var resourcesTiming = configs.ProbeTiming{Interval: 10 * time.Second, Timeout: 5 * time.Second, Failures: 2}

// startHealth begins to look after everything.
func (s *service) startHealth() error {
	flapping, save, err := s.saved("flapping of monitors", s.stored.flapping)
	if err != nil {
		return err
	}
	s.health = health.NewEngine(health.Options{Changed: s.monitorChanged, Saved: flapping, Save: save,
		Failed: func(err error) { s.reported("flapping of monitors", err) }})
	s.breakers.OnFailure(func(server string) { s.health.Hurry(health.SetProtocol, health.ImapSelfTestProbe, server) })
	for _, c := range []prometheus.Collector{s.health, &s.components} {
		if err := s.registry.Register(c); err != nil {
			return err
		}
	}
	if err := s.loadComponents(); err != nil {
		return err
	}
	s.recoveries = newRecoveryMetrics(s.registry)
	if err := s.startRecovery(); err != nil {
		return err
	}
	if err := s.startEscalator(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(s.upkeep)
	s.stopProbes = stop
	s.group.Go(func() { s.health.Run(ctx) })
	s.group.Go(func() { s.escalator.Run(ctx) })
	s.group.Go(func() { s.recovery.Run(ctx) })
	s.group.Go(func() { s.keepOverrides(ctx) })
	return nil
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
	of := config.Health
	back := s.behind()
	front := health.Front{Back: back, Doors: s.doors, Left: descriptorLeft}
	var plan health.Plan
	add := func(set, probe, monitor, target string, timing configs.ProbeTiming, component string,
		run func(context.Context, *health.Run) error) {
		plan.Probes = append(plan.Probes, &health.Probe{
			HealthSet: set, Name: probe, Target: target, Interval: timing.Interval, Timeout: timing.Timeout, Run: run,
		})
		plan.Monitors = append(plan.Monitors, health.Monitor{
			HealthSet: set, Name: monitor, Target: target, Probe: probe, Failures: timing.Failures,
			Component:  component,
			Flapping:   health.Flapping(of.Flapping),
			StaleAfter: health.StaleAfter(timing.Interval, timing.Timeout),
		})
	}
	names := s.now().tier().Servers()
	for _, server := range names {
		add(health.SetProtocol, health.ImapSelfTestProbe, health.ImapSelfTestMonitor, server, of.SelfTest, "",
			back.SelfTest(server))
	}
	for _, database := range config.DatabaseNames() {
		if _, ok := of.Mailboxes[database]; ok {
			add(health.SetProtocol, health.ImapDeepTestProbe, health.ImapDeepTestMonitor, database,
				of.DeepTest.Timing(), "", back.DeepTest(database, of.DeepTest.Write))
			add(health.SetIMAP, health.ImapCTPProbe, health.ImapCTPMonitor, database, of.CTP, "", front.CTP(database))
			plan.Probes[len(plan.Probes)-1].Anywhere = true
			plan.Probes = append(plan.Probes, s.copyProbes(back, database, config)...)
		}
	}
	add(health.SetProxy, health.ImapProxyTestProbe, health.ImapProxyTestMonitor, "", of.ProxyTest, "ImapProxy",
		front.ProxyTest(s.admit))
	add(health.SetPortico, health.PorticoResourcesCheck, health.PorticoResourcesMonitor, "", resourcesTiming, "",
		health.Shortage(s.server.Shortages, descriptorLeft))
	add(health.SetPortico, health.PorticoStoreCheck, health.PorticoStoreMonitor, "", resourcesTiming, "",
		health.Stored(s.tryStore))
	counter := configs.ProbeTiming{Interval: counterWindow, Timeout: 10 * time.Second, Failures: counterFailures}
	check := func(probe, monitor, target string, run func(context.Context, *health.Run) error) {
		add(health.SetIMAP, probe, monitor, target, counter, "", run)
		plan.Monitors[len(plan.Monitors)-1].StaleAfter = 0 // nothing to look at is no fault
	}
	signIns := s.signIns(of.SignIns)
	copiesTiming := configs.ProbeTiming{Interval: health.CopiesInterval, Timeout: health.CopiesTimeout,
		Failures: health.CopiesFailures}
	signInTiming := configs.ProbeTiming{Interval: health.SignInsInterval, Timeout: health.SignInsTimeout,
		Failures: health.SignInsFailures}
	for _, server := range names {
		add(health.SetIMAP, health.ProxyConnectionsFailedGt20PercentCheck,
			health.ProxyConnectionsFailedGt20PercentMonitor, server, signInTiming, "",
			signIns.Check(server))
		plan.Monitors[len(plan.Monitors)-1].UnhealthyAfter = health.SignInsUnhealthy
		add(health.SetProtocol, health.DatabaseCopyStatusCheck, health.DatabaseCopyStatusMonitor, server,
			copiesTiming, "",
			health.Copies(server, func() []string { return s.unusable(server) }))
		check(health.AverageCommandProcessingTimeGt60sCheck, health.AverageCommandProcessingTimeGt60sMonitor, server,
			health.AverageTime(s.load, server, of.AverageCommandTime))
		check(health.RequestsQueuedGt500Check, health.RequestsQueuedGt500Monitor, server,
			health.Queued(s.load, server, of.RequestsQueued))
	}
	check(health.RequestsQueuedGt500Check, health.RequestsQueuedGt500Monitor, "",
		health.Queued(s.load, "", of.RequestsQueued))
	return plan
}

// signIns is what the check of users' sign-ins looks at.
func (s *service) signIns(of configs.SignIns) health.SignIns {
	return health.SignIns{
		Tally: s.tally.Of, Percent: of.Percent, Users: of.Users,
		SelfTests: func(server string) []*health.Result {
			return s.health.History(health.SetProtocol, health.ImapSelfTestProbe, server)
		},
		Elsewhere: func(server string) bool {
			monitors := s.health.Monitors()
			return slices.ContainsFunc(s.now().tier().Servers(), func(other string) bool {
				return other != server && health.Sound(other, monitors)
			})
		},
	}
}

// copyProbes look at the copies of a database that are not active, where they are the same mail. They have no monitor:
// what they find is the copy's status.
func (s *service) copyProbes(back health.Back, database string, config *configs.Config) (probes []*health.Probe) {
	of, timing := config.Databases[database], config.Health.DeepTest
	if !of.Interchangeable || len(of.Copies) < 2 {
		return nil
	}
	for _, server := range of.Copies {
		probes = append(probes, &health.Probe{
			HealthSet: health.SetProtocol, Name: health.ImapCopyTestProbe, Target: database + "@" + server,
			Interval: copyPace * timing.Interval, Timeout: timing.Timeout,
			Run: s.watchCopy(database, server, timing.Failures, back.CopyTest(database, server)),
		})
	}
	return probes
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

// doors lists the listeners that take clients, as a client on this machine finds them.
func (s *service) doors() []health.Door {
	var all []health.Door
	for i, addr := range s.listeners.addresses {
		of := s.started.Listeners[i]
		if of.ProxyProtocol { // it wants to hear from a proxy first
			continue
		}
		all = append(all, health.Door{Address: reachable(addr), Implicit: of.TLS == configs.TLSImplicit,
			StartTLS: of.TLS == configs.TLSStartTLS})
	}
	slices.SortStableFunc(all, func(a, b health.Door) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

func rank(d health.Door) int {
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
	return s.server.Admit(proxy.Pass{Source: source, Secret: shown, Password: password})
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

// healthControl is what the admin's API sees of health. Its methods may be called from anywhere.
type healthControl struct{ s *service }

var _ admin.Health = healthControl{}

// Monitors implements admin.Health.
func (c healthControl) Monitors() []health.MonitorState { return c.s.health.Monitors() }

// Sets implements admin.Health.
func (c healthControl) Sets() []health.SetState { return c.s.health.Sets() }

// Probes implements admin.Health.
func (c healthControl) Probes() []health.ProbeState { return c.s.health.Probes() }

// RunNow implements admin.Health.
func (c healthControl) RunNow(ctx context.Context, r admin.ProbeRun) ([]*health.Result, error) {
	by := health.ByHand{
		Timeout: time.Duration(r.Timeout * float64(time.Second)), Account: r.Account, Password: r.Password,
		Endpoint: r.Endpoint,
	}
	if err := by.Override(r.Properties); err != nil {
		return nil, err
	}
	results, err := c.s.health.RunNow(ctx, r.Set, r.Probe, r.Target, by)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(results, func(r *health.Result) bool { return r == nil }), nil
}

// Node implements admin.Health.
func (c healthControl) Node() string { return nodeName() }

// nodeName is this machine's name.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Sprint("unknown: ", err)
	}
	return name
}
