package recovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend"
	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
)

// night is a site in simulated time, with probes, monitors, recovery and alerts at work as a Portico has them, at
// default settings. Every server has one database, which has a copy on the next server.
type night struct {
	engine    *health.Engine
	r         *Responders
	escalator *health.Escalator

	mu       sync.Mutex // guards what follows
	random   *rand.Rand
	dead     []bool
	flaky    float64         // share of runs and sign-ins that fail for no reason
	halves   map[int]float64 // share of sign-ins that servers do not take
	pause    int             // between sign-ins to a database, in seconds on average
	refused  int             // sign-ins that have failed
	failed   map[string]bool
	active   []int  // of each database
	blocked  []bool // by recovery
	turned   []string
	records  []Record
	told     []string
	outcomes *backend.SigninOutcomes // of users' sign-ins
}

func server(i int) string   { return fmt.Sprintf("mbx%02d", i) }
func database(i int) string { return fmt.Sprintf("db%02d", i) }

// number is the number in a name of a server or database.
func number(name string) (n int) {
	fmt.Sscanf(strings.TrimLeft(name, "mbxd"), "%d", &n)
	return n
}

// defaultThrottles are those of the configuration.
var defaultThrottles = map[Action]Throttle{
	RestartService:  {Between: 10 * time.Minute, InAnHour: 2, InADay: 4, GroupBetween: time.Minute, GroupInADay: 12},
	Failover:        {Between: 30 * time.Minute, InAnHour: 1, InADay: 3, GroupBetween: time.Minute, GroupInADay: 12},
	RestartServer:   {Between: 6 * time.Hour, InAnHour: 1, InADay: 1, GroupBetween: 30 * time.Minute, GroupInADay: 4},
	ProtocolLog:     {InAnHour: 6, InADay: 24, GroupInADay: 100},
	RestartFrontEnd: {Between: 10 * time.Minute, InAnHour: 2, InADay: 6, GroupInADay: 6},
}

// simulate has a site of some servers at work while test runs.
func simulate(t *testing.T, servers int, seed uint64, test func(t *testing.T, n *night)) {
	synctest.Test(t, func(t *testing.T) {
		n := &night{
			random: rand.New(rand.NewPCG(seed, 1)), failed: make(map[string]bool), dead: make([]bool, servers),
			active: make([]int, servers), blocked: make([]bool, servers), outcomes: backend.NewSigninOutcomes(time.Now),
			pause: 5,
		}
		n.engine = health.NewEngine(health.Options{
			Random: n.chance,
			Changed: func(before health.AlertValue, now health.MonitorState) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.turned = append(n.turned, fmt.Sprintf("%s %v->%v", now.ID(), before, now.Value))
			},
		})
		n.engine.Use(n.plan(servers))
		kept := store.Memory()
		defer kept.Close()
		var err error
		n.r, err = New(t.Context(), Options{
			Monitors: n.engine.Monitors, Active: n.activeOn, Actors: n.actors(), Standby: n.standby, Store: kept,
			Follow: n.engine.Follow,
			Blocked: func(server string) bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				return n.blocked[number(server)]
			},
			InUse: func(server string) bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				return slices.Contains(n.active, number(server))
			},
			Users: func(server string) (well, mixed bool) {
				summary := n.outcomes.Of(server)
				return health.LatestWell(summary), summary.Mixed()
			},
			Failed: func(err error) { t.Error(err) }, Verify: n.verify,
			Recorded: func(r Record) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.records = append(n.records, r)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		server := []Action{RestartService, Failover, RestartServer, Escalate}
		n.r.Use(Plan{
			Mode: Act, Wait: 5 * time.Minute, CommonPercent: 34, Throttles: defaultThrottles,
			Ladders: map[string][]Action{
				catalogue.ImapSelfTestMonitor: server, catalogue.ImapDeepTestMonitor: server,
				catalogue.ImapCTPMonitor: {RestartService, ProtocolLog,
					RestartFrontEnd, Escalate},
				catalogue.ProxyConnectionsFailedGt20PercentMonitor: {Failover, RestartService, Escalate},
			},
		})
		n.escalator, err = health.NewEscalator(t.Context(), health.EscalatorOptions{
			Monitors: n.engine.Monitors, Ready: n.r.ForPeople, Active: n.activeOn, Common: 34,
			Sinks: []health.Sink{health.SinkFunc(func(_ context.Context, a health.Alert) error {
				n.mu.Lock()
				defer n.mu.Unlock()
				if !a.Again {
					n.told = append(n.told, a.Subject())
				}
				return nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { n.engine.Run(ctx) })
		work.Go(func() { // as Run, but three times a minute: it looks often enough, and a week passes sooner
			for ticker := time.NewTicker(20 * time.Second); ; {
				select {
				case <-ctx.Done():
					ticker.Stop()
					return
				case <-ticker.C:
					n.r.look(ctx)
				}
			}
		})
		work.Go(func() { n.escalator.Run(ctx) })
		work.Go(func() { n.signIn(ctx) })
		test(t, n)
		cancel()
		work.Wait()
	})
}

// plan is a probe and monitor of each server and, twice, of each database.
func (n *night) plan(servers int) (p health.Plan) {
	add := func(set, name, target string, interval, timeout time.Duration, failures int, where func() int) {
		p.Probes = append(p.Probes, &health.Probe{
			HealthSet: set, Name: name + "Probe", Target: target, Interval: interval, Timeout: timeout,
			Run: func(_ context.Context, run *health.Run) error {
				at := where()
				run.Mailbox = server(at)
				return n.look(name+target, at)
			},
		})
		p.Monitors = append(p.Monitors, health.Monitor{
			HealthSet: set, Name: name + "Monitor", Target: target, Probe: name + "Probe", Failures: failures,
			StaleAfter: health.StaleAfter(interval, timeout),
			Flapping:   health.Flapping{Changes: 4, Window: 30 * time.Minute},
		})
	}
	for i := range servers {
		n.active[i] = i
		where := func() int {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.active[i]
		}
		add(catalogue.SetProtocol, "ImapSelfTest", server(i), time.Minute, 20*time.Second, 3, func() int { return i })
		add(catalogue.SetProtocol, "ImapDeepTest", database(i), 2*time.Minute, time.Minute, 4, where)
		add(catalogue.SetIMAP, "ImapCTP", database(i), 2*time.Minute, time.Minute, 4, where)
		n.addSignIns(&p, server(i))
	}
	return p
}

// addSignIns adds the check of users' sign-ins to a server, and its monitor.
func (n *night) addSignIns(p *health.Plan, server string) {
	signIns := health.SignIns{
		Outcomes: n.outcomes.Of, Percent: 20, Users: 3,
		SelfTests: func(server string) []*health.Result {
			return n.engine.History(catalogue.SetProtocol, catalogue.ImapSelfTestProbe, server)
		},
		Elsewhere: func(string) bool { return true },
	}
	of := catalogue.Of(catalogue.ProxyConnectionsFailedGt20PercentMonitor)
	p.Probes = append(p.Probes, &health.Probe{
		HealthSet: of.Set, Name: of.Probe, Target: server,
		Interval: of.Timing.Interval, Timeout: of.Timing.Timeout, Run: signIns.Check(server),
	})
	p.Monitors = append(p.Monitors, health.Monitor{
		HealthSet: of.Set, Name: of.Monitor, Target: server, Probe: of.Probe, Failures: of.Timing.Failures,
		UnhealthyAfter: of.UnhealthyAfter,
		StaleAfter:     health.StaleAfter(of.Timing.Interval, of.Timing.Timeout),
		Flapping:       health.Flapping{Changes: 4, Window: 30 * time.Minute},
	})
}

// signIn has users sign in until the context ends: forty of each database, each time one of all. Who fails tries again
// five seconds later.
func (n *night) signIn(ctx context.Context) {
	again := make(map[time.Time][][2]int) // databases and users
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		now := time.Now()
		n.mu.Lock()
		tries := again[now]
		delete(again, now)
		for i := range n.active {
			if n.random.IntN(n.pause) == 0 {
				tries = append(tries, [2]int{i, n.random.IntN(40)})
			}
		}
		for _, try := range tries {
			at, fails := n.active[try[0]], (*backend.Error)(nil)
			if n.dead[at] || n.random.Float64() < max(n.flaky, n.halves[at]) {
				fails = &backend.Error{Kind: backend.KindClosed, Phase: backend.PhaseGreeting}
				n.refused++
				again[now.Add(5*time.Second)] = append(again[now.Add(5*time.Second)], try)
			}
			n.outcomes.Record(server(at), fmt.Sprint(try), fails)
		}
		n.mu.Unlock()
	}
}

// look is what a probe finds on a server. A run that fails for no reason is followed by one that does not.
func (n *night) look(probe string, at int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed[probe] = !n.failed[probe] && n.random.Float64() < n.flaky; n.failed[probe] || n.dead[at] {
		return &health.Failure{Dependency: health.Networking, Phase: "dial", Err: errors.New("no answer")}
	}
	return nil
}

func (n *night) chance() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.random.Float64()
}

func (n *night) activeOn(database string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return server(n.active[number(database)])
}

func (n *night) verify(ctx context.Context, m health.MonitorState) *health.Result {
	results, err := n.engine.RunNow(ctx, m.HealthSet, m.Probe, m.Target, health.ByHand{})
	if err != nil || len(results) != 1 {
		return nil
	}
	return results[0]
}

// standby says where a failover moves databases.
func (n *night) standby(_ context.Context, c Case, lifted []string) map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := make(map[string]string)
	for i, at := range n.active {
		if other := n.other(i); at == number(c.Server) && !n.dead[other] &&
			(!n.blocked[other] || slices.Contains(lifted, server(other))) {
			found[database(i)] = server(other)
		}
	}
	return found
}

// other is the server with the copy of a database that is not active. The caller holds mu.
func (n *night) other(i int) int {
	if n.active[i] == i {
		return (i + 1) % len(n.dead)
	}
	return i
}

// actors do what recovery wants: restarts help no server, and a failover moves databases to servers that are well and
// not blocked.
func (n *night) actors() map[Action]Actor {
	nothing := Actor{Do: func(context.Context, Case) (string, error) { return "done", nil }}
	return map[Action]Actor{
		RestartService: nothing, ProtocolLog: nothing, RestartFrontEnd: nothing,
		RestartServer: {Do: func(_ context.Context, c Case) (string, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if slices.Contains(n.active, number(c.Server)) {
				return "", Skipped("a database is active there")
			}
			return "done", nil
		}},
		Failover: {
			Do: func(_ context.Context, c Case) (string, error) {
				n.mu.Lock()
				defer n.mu.Unlock()
				from, moved := number(c.Server), false
				for i, at := range n.active {
					if other := n.other(i); at == from && !n.dead[other] && !n.blocked[other] {
						n.active[i], moved = other, true
					}
				}
				if !moved {
					return "", Skipped("no copy is well, or nothing is active there")
				}
				n.blocked[from] = true
				return "moved", nil
			},
			Undo: func(_ context.Context, c Case) error {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.blocked[number(c.Server)] = false
				return nil
			},
		},
	}
}

// throttlesHold holds all that was done against what may be done, and returns how many failovers there were, and how
// many of them were beyond the throttle. The caller holds mu.
func (n *night) throttlesHold(t *testing.T) (failovers, beyond int) {
	for action, limit := range defaultThrottles {
		id := kinds[action].id
		var done []Record
		for _, r := range n.records {
			if r.ID != id || r.State != Finished || !r.attempted() {
				continue
			}
			if r.Excess != "" {
				beyond++
				done = append(done, r)
				continue
			}
			var hour, day, group int
			for _, before := range done {
				ago := r.Start.Sub(before.Start)
				if ago < 24*time.Hour {
					group++
				}
				if ago < limit.GroupBetween || before.Resource == r.Resource && ago < limit.Between {
					t.Errorf("%s %v after another", id, ago)
				}
				if before.Resource == r.Resource && ago < 24*time.Hour {
					day++
				}
				if before.Resource == r.Resource && ago < time.Hour {
					hour++
				}
			}
			if hour >= limit.InAnHour || day >= limit.InADay || group >= limit.GroupInADay {
				t.Errorf("%s of %s at %v: %d in an hour before, %d in a day, %d on all", id, r.Resource, r.Start,
					hour, day, group)
			}
			done = append(done, r)
		}
		if action == Failover {
			failovers = len(done)
		}
	}
	return failovers, beyond
}
