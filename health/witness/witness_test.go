package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
)

// site is some nodes with the probe of each of some mailbox servers.
type site struct {
	t       *testing.T
	store   *counted
	servers []string
	nodes   map[string]*node

	mu      sync.Mutex // guards what follows
	present []string
	broken  map[string]bool // server, or node/server, or node/ for all
	runs    map[string]int  // of probes, by node/server
}

type node struct {
	engine  *health.Engine
	witness *Witness
	end     func()
}

// counted is a store that counts writes.
type counted struct {
	store.Store
	writes atomic.Int64
}

func (s *counted) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	s.writes.Add(1)
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

func newSite(t *testing.T, nodes, servers int) *site {
	s := &site{t: t, store: &counted{Store: store.Memory()}, nodes: make(map[string]*node),
		broken: make(map[string]bool), runs: make(map[string]int)}
	for i := range servers {
		s.servers = append(s.servers, fmt.Sprintf("mbx%d", i+1))
	}
	for i := range nodes {
		s.join(fmt.Sprintf("mx%d", i+1))
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.end()
		}
		s.store.Close()
	})
	return s
}

// join starts a node.
func (s *site) join(name string) {
	s.t.Helper()
	s.mu.Lock()
	s.present = append(s.present, name)
	slices.Sort(s.present)
	s.mu.Unlock()
	n := &node{engine: health.NewEngine(health.Options{})}
	var err error
	n.witness, err = Open(s.t.Context(), Options{
		Store: s.store, Node: name, Monitors: n.engine.Monitors, Report: n.engine.Report,
		Present: func() []string {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Clone(s.present)
		},
		Hurry:   n.engine.Hurry,
		Changed: func() { n.engine.Use(s.plan(name, n.witness)) },
		Failed:  func(err error) { s.t.Error(err) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	n.engine.Use(s.plan(name, n.witness))
	ctx, cancel := context.WithCancel(s.t.Context())
	var work sync.WaitGroup
	work.Go(func() { n.engine.Run(ctx) })
	work.Go(func() { n.witness.Run(ctx) })
	n.end = func() {
		cancel()
		work.Wait()
	}
	s.nodes[name] = n
}

// leave ends a node without a word.
func (s *site) leave(name string) {
	s.nodes[name].end()
	delete(s.nodes, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present = slices.DeleteFunc(s.present, func(other string) bool { return other == name })
}

func (s *site) plan(name string, w *Witness) health.Plan {
	of := catalogue.Direct(catalogue.ScopeServer)
	plan := health.NewPlan(health.PlanOptions{
		Targets: map[catalogue.Scope][]string{catalogue.ScopeServer: s.servers},
		Timings: map[string]catalogue.Timing{of.TimingKey: {Interval: time.Minute, Timeout: time.Second, Failures: 3}},
		Runs: health.Runs{of.Probe: func(server string) func(context.Context, *health.Run) error {
			return func(_ context.Context, run *health.Run) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				if !run.ByHand {
					s.runs[name+"/"+server]++
				}
				run.Mailbox = server
				if s.broken[server] || s.broken[name+"/"] || s.broken[name+"/"+server] {
					return &health.Failure{Dependency: health.Networking, Phase: "dial", Err: errors.New("no answer")}
				}
				return nil
			}
		}},
	})
	plan.LeaveTo(w.Looks)
	return plan
}

// pass lets time go by.
func (s *site) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *site) breaks(what string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[what] = is
}

// state is a node's monitor of a server.
func (s *site) state(name, server string) health.MonitorState {
	s.t.Helper()
	for _, m := range s.nodes[name].engine.Monitors() {
		if m.Target == server {
			return m
		}
	}
	s.t.Fatalf("%s has no monitor of %s", name, server)
	return health.MonitorState{}
}

// settle lets the nodes find each other.
func (s *site) settle() {
	s.pass(time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.runs)
}

// lookers are the nodes that have run the probe of a server since the last call.
func (s *site) lookers(server string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range s.present {
		if s.runs[node+"/"+server] > 0 {
			all = append(all, node)
		}
		delete(s.runs, node+"/"+server)
	}
	return all
}

// Three nodes probe a target. The others show what most of those see, and who they are. A server that one of them alone
// cannot reach works for the others, and it is told who says so.
func TestThreeLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 5, 4)
		s.settle()
		s.pass(5 * time.Minute)
		for _, server := range s.servers {
			lookers := s.lookers(server)
			if len(lookers) != 3 {
				t.Errorf("%s: %q look", server, lookers)
			}
			for name := range s.nodes {
				m := s.state(name, server)
				if mine := slices.Contains(lookers, name); m.Value != health.Healthy || m.Elsewhere == mine ||
					!mine && (!slices.Equal(m.Nodes, lookers) || m.WellInRow < 3 || m.LastSuccess.IsZero()) {
					t.Errorf("%s sees %s: %+v", name, server, m)
				}
			}
		}
		s.breaks("mbx1", true)
		s.pass(6 * time.Minute)
		lookers := s.lookers("mbx1")
		for name := range s.nodes {
			m := s.state(name, "mbx1")
			if m.Value != health.Unhealthy || m.LastFailure == nil || m.LastFailure.Mailbox != "mbx1" ||
				m.LastFailure.Dependency != health.Networking || m.LastFailure.Err != "dial: no answer" ||
				!m.Failing() {
				t.Errorf("%s sees %+v", name, m)
			}
			if against := s.nodes[name].witness.Against(m); len(against) > 0 {
				t.Errorf("%s: against it are %q", name, against)
			}
			if said := s.nodes[name].witness.stored.Item(name).Value.Faults; m.Elsewhere && len(said) > 0 {
				t.Errorf("%s says what others see: %+v", name, said)
			}
		}
		s.breaks("mbx1", false)
		s.pass(2 * time.Minute)
		s.breaks(lookers[0]+"/", true)
		s.pass(6 * time.Minute)
		for name := range s.nodes {
			m := s.state(name, "mbx1")
			against := s.nodes[name].witness.Against(m)
			switch {
			case name == lookers[0] && (m.Value != health.Unhealthy || !slices.Equal(against, lookers[1:])):
				t.Errorf("%s sees %v; against it are %q", name, m.Value, against)
			case name != lookers[0] && m.Value != health.Healthy:
				t.Errorf("%s sees %+v", name, m)
			}
		}
	})
}

// If one node has found out that a server fails, because its users have, the others find out soon.
func TestOthersHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 5, 4)
		s.settle()
		s.pass(5 * time.Minute)
		lookers := s.lookers("mbx1")
		s.breaks("mbx1", true)
		of := catalogue.Direct(catalogue.ScopeServer)
		s.nodes[lookers[0]].engine.Hurry(of.Set, of.Probe, "mbx1")
		s.pass(45 * time.Second)
		for name := range s.nodes {
			if m := s.state(name, "mbx1"); m.Value != health.Unhealthy {
				t.Errorf("%s sees %+v", name, m)
			}
		}
		s.breaks("mbx1", false)
		s.pass(2 * time.Minute)
		s.lookers("mbx1")
		s.breaks(lookers[0]+"/", true) // and one that is alone does not make the others hurry for ever
		s.pass(30 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := s.runs[lookers[1]+"/mbx1"]; n > 36 {
			t.Errorf("in half an hour there were %d runs", n)
		}
	})
}

// A probe that other nodes run runs by hand, and changes nothing.
func TestByHandElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 4, 1)
		s.settle()
		s.pass(2 * time.Minute)
		of := catalogue.Direct(catalogue.ScopeServer)
		lookers := s.lookers("mbx1")
		for name, n := range s.nodes {
			if slices.Contains(lookers, name) {
				continue
			}
			s.breaks("mbx1", true)
			results, err := n.engine.RunNow(t.Context(), of.Set, of.Probe, "mbx1", health.ByHand{})
			if err != nil || len(results) != 1 || results[0].Type != health.Failed {
				t.Errorf("%+v, %v", results, err)
			}
			if m := s.state(name, "mbx1"); m.Value != health.Healthy {
				t.Errorf("%+v", m)
			}
		}
	})
}

// Nodes write when something changes, and then once for all that has changed.
func TestWritesAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, 20)
		s.pass(5 * time.Minute)
		before := s.store.writes.Load()
		s.pass(30 * time.Minute)
		if n := s.store.writes.Load() - before; n > 0 {
			t.Errorf("%d writes while nothing changes", n)
		}
		for _, server := range s.servers {
			s.breaks(server, true)
		}
		before = s.store.writes.Load()
		s.pass(6 * time.Minute)
		if n := s.store.writes.Load() - before; n == 0 || n > 3*120 { // 120 looks
			t.Errorf("%d writes while 20 servers fail", n)
		}
	})
}

// When a node comes or goes, those nodes write that look at other targets than before, and not all.
func TestFewWriteWhenNodesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 30, 40)
		writes := func(do func()) int {
			before := s.store.writes.Load()
			do()
			s.pass(5 * time.Minute)
			return int(s.store.writes.Load() - before)
		}
		writes(func() {})
		come := writes(func() { s.join("mx31") })
		targets := 0
		for _, server := range s.servers {
			if !s.state("mx31", server).Elsewhere {
				targets++
			}
		}
		gone := writes(func() { s.leave("mx31") })
		// Each target moves from one node to another, which says that it does not know yet, and then that it does.
		if targets == 0 || come > 1+2*targets || gone > 2*targets {
			t.Errorf("%d writes when a node comes that looks at %d targets, %d when it goes", come, targets, gone)
		}
	})
}

// When a node is gone for a minute, others look in its place; when it is back, it looks again at once. A short absence
// of all changes nothing.
func TestNodesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 6, 10)
		s.settle()
		s.pass(5 * time.Minute)
		before := make(map[string][]string)
		for _, server := range s.servers {
			before[server] = s.lookers(server)
		}
		s.mu.Lock()
		all := s.present
		s.present = []string{"mx1"}
		s.mu.Unlock()
		s.pass(50 * time.Second)
		s.mu.Lock()
		s.present = all
		s.mu.Unlock()
		s.pass(5 * time.Minute)
		for _, server := range s.servers {
			if got := s.lookers(server); !slices.Equal(got, before[server]) {
				t.Errorf("after a short absence %q look at %s, before %q", got, server, before[server])
			}
		}
		s.leave("mx2")
		s.pass(2 * time.Minute)
		s.breaks("mbx1", true)
		s.settle()
		s.pass(6 * time.Minute)
		for _, server := range s.servers {
			got, stay := s.lookers(server), slices.DeleteFunc(slices.Clone(before[server]), func(name string) bool {
				return name == "mx2"
			})
			moved := func(name string) bool { return !slices.Contains(got, name) }
			if len(got) != 3 || slices.ContainsFunc(stay, moved) {
				t.Errorf("%q look at %s, before %q", got, server, before[server])
			}
		}
		for name := range s.nodes {
			if m := s.state(name, "mbx1"); m.Value != health.Unhealthy {
				t.Errorf("%s sees %+v", name, m)
			}
		}
		s.join("mx2")
		s.settle()
		s.pass(5 * time.Minute)
		for _, server := range s.servers {
			if got := s.lookers(server); !slices.Equal(got, before[server]) {
				t.Errorf("when it is back %q look at %s, before %q", got, server, before[server])
			}
		}
	})
}

// lookers are those of some nodes that look at a target.
func lookers(target string, nodes []string) (all []string) {
	for _, node := range nodes {
		if looks(node, target, nodes) {
			all = append(all, node)
		}
	}
	return all
}

// Up to three nodes look at everything. More share it about equally, and one more moves little.
func TestLookers(t *testing.T) {
	var nodes []string
	for i := range 50 {
		nodes = append(nodes, fmt.Sprintf("mx%02d", i))
	}
	if got := lookers("mbx1", nodes[:3]); !slices.Equal(got, nodes[:3]) {
		t.Errorf("of three, %q look", got)
	}
	share, moved := make(map[string]int), 0
	for i := range 1000 {
		target := fmt.Sprintf("db%d", i)
		of := lookers(target, nodes)
		if len(slices.Compact(of)) != 3 || !slices.IsSorted(of) {
			t.Errorf("%q look at %s", of, target)
		}
		for _, node := range of {
			share[node]++
		}
		if !slices.Equal(of, lookers(target, nodes[:49])) {
			moved++
			if !slices.Contains(of, nodes[49]) {
				t.Errorf("%s moves although its nodes stay", target)
			}
		}
	}
	for _, node := range nodes { // 60 on average
		if n := share[node]; n < 30 || n > 90 {
			t.Errorf("%s looks at %d targets", node, n)
		}
	}
	if moved > 90 {
		t.Errorf("a node that goes moves %d targets", moved)
	}
}

// Nodes that have just started are waited for. Those whose monitor is off are not, nor those without users to count.
func TestWhoIsWaitedFor(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	nodes := []string{"mx1", "mx2", "mx3"}
	m := func(name string) health.MonitorState {
		return health.MonitorState{Value: health.Unhealthy, Monitor: health.Monitor{
			HealthSet: catalogue.Of(name).Set, Name: name, Target: "mbx1"}}
	}
	direct, check := m(catalogue.ImapSelfTestMonitor), m(catalogue.ProxyConnectionsFailedGt20PercentMonitor)
	const silent = health.AlertValue(99) // it has said something, and of this target nothing yet
	for value, want := range map[health.AlertValue]string{health.UnInitialized: "[mx2 mx3]", health.Disabled: "[mx3]",
		health.Unhealthy: "[]", health.Healthy: "[mx2 mx3]", silent: "[mx2 mx3]"} {
		said := seen{Targets: []string{"mbx1"}}
		switch value {
		case silent:
			said.Targets = nil
		case health.Healthy:
		default:
			for _, of := range []health.MonitorState{direct, check} {
				said.Faults = append(said.Faults, fault{Monitor: of.ID(), Value: value.String()})
			}
		}
		if err := store.SetOf[seen](kept, storedSeen).Replace(t.Context(), "mx2", said); err != nil {
			t.Fatal(err)
		}
		present := []string{"mx1"}
		w, err := Open(t.Context(), Options{Store: kept, Node: "mx1", Present: func() []string { return present }})
		if err != nil {
			t.Fatal(err)
		}
		w.follow()
		if got := w.Against(direct); got != nil {
			t.Errorf("alone: against it are %s", got)
		}
		present = nodes // and nobody has looked since
		if got := fmt.Sprint(w.Against(direct)); got != want {
			t.Errorf("%d: against it are %s", value, got)
		}
		if got := w.Against(check); value == health.UnInitialized && slices.Contains(got, "mx2") {
			t.Errorf("of a check, %d: against it are %s", value, got)
		}
	}
}

// What a node says is bounded. What has no place is not taken for working.
func TestSeenIsBounded(t *testing.T) {
	var all []health.MonitorState
	for i := range maxFaults + 10 {
		all = append(all, health.MonitorState{Value: health.Unhealthy, Monitor: health.Monitor{
			HealthSet: catalogue.SetProtocol, Name: catalogue.ImapSelfTestMonitor, Target: fmt.Sprintf("mbx%03d", i)},
			LastFailure: &health.Result{Err: strings.Repeat("ä", maxError)}})
	}
	s := see(all, nil)
	if len(s.Faults) != maxFaults || s.More != 10 || len(s.Faults[0].Error) > maxError ||
		strings.Trim(s.Faults[0].Error, "ä") != "" {
		t.Errorf("%d faults, %d more, %q", len(s.Faults), s.More, s.Faults[0].Error)
	}
	kept := store.Memory()
	defer kept.Close()
	for _, name := range []string{"mx1", "mx2"} {
		if err := store.SetOf[seen](kept, storedSeen).Replace(t.Context(), name, s); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Open(t.Context(), Options{Store: kept, Node: "mx3",
		Present: func() []string { return []string{"mx1", "mx2", "mx3"} }, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	w.follow()
	for _, i := range []int{0, maxFaults} {
		if against := w.Against(all[i]); len(against) > 0 {
			t.Errorf("against %s are %q", all[i].ID(), against)
		}
	}
}
