//go:build unix

package cluster_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/move"
	"portico/cluster"
	"portico/cluster/heavy"
	"portico/cmd/portico/site"
	"portico/configs/store/etcdstore"
	"portico/health"
	"portico/health/witness"
)

// scaleSite is many nodes with one etcd. Each node is all that a Portico has of its site, with no servers and no
// clients.
type scaleSite struct {
	t         *testing.T
	etcd      *backendtest.Daemon
	databases []backend.DatabaseOptions
	moves     bool // nodes do nothing but move databases
	counts    int  // that each node tells the others, of each kind
	failures  sync.Map

	mu    sync.Mutex
	nodes []*scaleNode
}

// scaleNode is a node of such a site.
type scaleNode struct {
	site    *scaleSite
	name    string
	etcd    *etcdstore.Store
	member  *cluster.Member
	manager *backend.ActiveManager
	stop    func()
	running sync.WaitGroup
}

func newScaleSite(t *testing.T, databases, counts int) *scaleSite {
	s := &scaleSite{t: t, etcd: testkit.Etcd(t, 1)[0], counts: counts}
	for i := range databases {
		s.databases = append(s.databases, backend.DatabaseOptions{Name: fmt.Sprint("db", i),
			Copies: []string{fmt.Sprint("mbx", i%100), fmt.Sprint("mbx", (i+1)%100)}})
	}
	return s
}

// start starts a number of nodes at once. The first one keeps a file of what it knows, as all do where each has a disk.
func (s *scaleSite) start(number int) {
	s.t.Helper()
	var starting sync.WaitGroup
	for range number {
		n := &scaleNode{site: s, name: fmt.Sprint("mx", len(s.nodes))}
		s.nodes = append(s.nodes, n)
		starting.Go(func() {
			if err := n.start(); err != nil {
				s.t.Errorf("%s: %v", n.name, err)
			}
		})
	}
	starting.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// stopAll ends all nodes as a kill does.
func (s *scaleSite) stopAll() {
	for _, n := range s.nodes {
		n.stop()
	}
	for _, n := range s.nodes {
		n.running.Wait()
		n.etcd.Close()
	}
	s.nodes = nil
}

func (n *scaleNode) start() (err error) {
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	failed := func(err error) { n.site.failures.Store(err.Error(), n.name) }
	o := etcdstore.Options{Endpoints: []string{"http://" + n.site.etcd.Address}, Prefix: "/portico", Failed: failed,
		Timeout: 30 * time.Second}
	if n.name == "mx0" {
		o.File = filepath.Join(n.site.t.TempDir(), "known")
		o.Passing = site.Passing
	}
	if n.etcd, err = etcdstore.Open(ctx, o); err != nil {
		return err
	}
	self := cluster.Node{Name: n.name, Machine: n.name, Version: "1.0.0",
		Address: "https://" + n.name + ".example.org:8143"}
	n.member, err = cluster.Join(ctx, n.etcd, self, cluster.Options{Leases: n.etcd, Failed: failed})
	if err != nil {
		return err
	}
	if n.manager, err = backend.NewActiveManager(ctx, n.etcd, move.NewMembers(n.etcd, n.member), failed); err != nil {
		return err
	}
	if _, err = n.manager.Configure(ctx, n.site.databases); err != nil {
		return err
	}
	return n.run(ctx, failed)
}

// run runs what a Portico runs of its site.
func (n *scaleNode) run(ctx context.Context, failed func(error)) error {
	queues := backend.NewSigninQueues(time.Now)
	pauses := backend.NewPauses(n.etcd, queues, failed)
	leader := cluster.NewLeader(n.etcd, n.etcd, n.name, failed)
	seen, err := witness.Open(ctx, witness.Options{Store: n.etcd, Node: n.name, Present: n.member.Present,
		Monitors: func() []health.MonitorState { return nil }, Report: func(map[string]health.Report) {},
		Hurry: func(string, string, string) {}, Changed: func() {}, Failed: failed})
	if err != nil {
		return err
	}
	kind := heavy.Kind{Own: n.counts, Add: func([]heavy.Change) {}}
	counts, err := heavy.New(heavy.Options{Store: n.etcd, Name: n.name, Present: n.member.Present,
		Kinds: []heavy.Kind{kind, kind}, Random: rand.Reader, Failed: failed})
	if err != nil {
		return err
	}
	all := []func(context.Context){n.member.Run, func(ctx context.Context) {
		n.manager.Run(ctx, backend.FollowOptions{End: func(string) {}, EndUser: func(string) {}, Queues: queues,
			Moved: func(string, string, string, bool) {}, UserMoved: func(string, string) {}, Failed: failed})
	}}
	if !n.site.moves {
		all = append(all, pauses.Run, leader.Run, seen.Run, counts.Run)
	}
	for _, run := range all {
		n.running.Go(func() { run(ctx) })
	}
	return nil
}

// counts are as many counts as a node has, other ones each time.
func (n *scaleNode) counts() (all []heavy.Count) {
	for i := range n.site.counts {
		var random [4]byte
		rand.Read(random[:])
		all = append(all, heavy.Count{Key: uint64(i), N: 4 + uint32(random[0])})
	}
	return all
}

// move moves databases, all at once, by one node.
func (s *scaleSite) move(databases []backend.DatabaseOptions, copy int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Minute)
	defer cancel()
	var moving sync.WaitGroup
	for _, d := range databases {
		moving.Go(func() {
			err := s.nodes[0].manager.Move(ctx, d.Name, d.Copies[copy], backend.MoveOptions{End: func(string) {},
				Patience: time.Minute})
			if err != nil {
				s.t.Errorf("%s: %v", d.Name, err)
			}
		})
	}
	moving.Wait()
}

// settle waits until all nodes have seen what etcd has now, and know who is present.
func (s *scaleSite) settle() {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		behind := ""
		for _, n := range s.nodes {
			if here := len(n.member.Present()); n.etcd.State().Err != nil || here != len(s.nodes) {
				behind = fmt.Sprintf("%s: %d are present of %d, %v", n.name, here, len(s.nodes), n.etcd.State().Err)
				break
			}
		}
		if behind == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(behind)
		}
	}
}

// at says whether all nodes let users of databases in at a copy.
func (s *scaleSite) at(databases []backend.DatabaseOptions, copy int) bool {
	for _, n := range s.nodes {
		for _, d := range databases {
			if active, _ := n.manager.Active(d.Name); active != d.Copies[copy] {
				return false
			}
		}
	}
	return true
}

// etcdFigures are counters of etcd.
type etcdFigures struct{ writes, events, sent, cpu, size, memory float64 }

func (f etcdFigures) less(before etcdFigures) etcdFigures {
	return etcdFigures{f.writes - before.writes, f.events - before.events, f.sent - before.sent, f.cpu - before.cpu,
		f.size, f.memory}
}

func (f etcdFigures) String() string {
	return fmt.Sprintf("%.0f writes, %.0f events, %.1f MB sent, %.2f s of etcd's CPU, its file has %.1f MB",
		f.writes, f.events, f.sent/1e6, f.cpu, f.size/1e6)
}

// figures reads etcd's counters.
func (s *scaleSite) figures() (f etcdFigures) {
	s.t.Helper()
	answer, err := http.Get("http://" + s.etcd.Address + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	of := map[string]*float64{"etcd_debugging_mvcc_put_total": &f.writes, "etcd_debugging_mvcc_delete_total": &f.writes,
		"etcd_debugging_mvcc_events_total": &f.events, "etcd_network_client_grpc_sent_bytes_total": &f.sent,
		"process_cpu_seconds_total": &f.cpu, "etcd_mvcc_db_total_size_in_bytes": &f.size,
		"process_resident_memory_bytes": &f.memory}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if at := of[name]; at != nil {
			n, _ := strconv.ParseFloat(value, 64)
			*at += n
		}
	}
	return f
}

// ownCPU is how long this process has computed.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
