//go:build unix

package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/move"
	"portico/configs/store/etcdstore"
)

// scaleSite is many nodes with one etcd. Each node is all that a Portico has of its site. Its mailbox servers always
// work, and its clients are counts.
type scaleSite struct {
	t            *testing.T
	etcd         *backendtest.Daemon
	databases    []backend.DatabaseOptions
	servers      []string
	moves        bool         // nodes do nothing but move databases
	counts       atomic.Int64 // that each node tells the others, of each kind
	signIns      atomic.Int64 // of each node, in a second
	signInsSince atomic.Int64 // when they began, in seconds
	failures     sync.Map

	nodes []*scaleNode
}

// scaleServers is how many mailbox servers a site has.
const scaleServers = 100

func newScaleSite(t *testing.T, databases int) *scaleSite {
	s := &scaleSite{t: t, etcd: testkit.Etcd(t, 1)[0]}
	for i := range scaleServers {
		s.servers = append(s.servers, fmt.Sprint("mbx", i))
	}
	for i := range databases {
		s.databases = append(s.databases, backend.DatabaseOptions{Name: fmt.Sprint("db", i),
			Copies: []string{s.servers[i%scaleServers], s.servers[(i+1)%scaleServers]}})
	}
	return s
}

// add starts further nodes at once. The first node keeps a file of what it knows, as all do where each has a disk.
func (s *scaleSite) add(number int) {
	s.t.Helper()
	var starting sync.WaitGroup
	for range number {
		n := &scaleNode{site: s, number: len(s.nodes), name: fmt.Sprint("mx", len(s.nodes))}
		s.nodes = append(s.nodes, n)
		starting.Go(n.start)
	}
	starting.Wait()
	s.check()
}

// addInTurn starts further nodes, five at a time, until there is a number.
func (s *scaleSite) addInTurn(all int) {
	s.t.Helper()
	for len(s.nodes) < all {
		s.add(min(all-len(s.nodes), 5))
	}
}

// check ends the test if a node could not start.
func (s *scaleSite) check() {
	s.t.Helper()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// stop ends nodes as a kill does.
func (s *scaleSite) stop(nodes ...*scaleNode) {
	for _, n := range nodes {
		n.end()
	}
	for _, n := range nodes {
		n.running.Wait()
		n.etcd.Close()
	}
}

// stopAll ends all nodes.
func (s *scaleSite) stopAll() {
	s.stop(s.nodes...)
	s.nodes = nil
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
	const mark = "settled"
	first, now := s.nodes[0].etcd, []byte(time.Now().String())
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		before, _ := first.Get(s.t.Context(), mark)
		var err error
		if !bytes.Equal(before.Value, now) {
			_, err = first.CompareAndSet(s.t.Context(), mark, before.Revision, now)
		}
		behind := s.behind(mark, now)
		if behind == "" && err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(behind, err)
		}
	}
}

// behind says which node has not seen a mark, or does not know of another one; or "".
func (s *scaleSite) behind(mark string, want []byte) string {
	for _, n := range s.nodes {
		entry, err := n.etcd.Get(s.t.Context(), mark)
		here := len(n.member.Present())
		if n.etcd.State().Err != nil || !bytes.Equal(entry.Value, want) || here != len(s.nodes) {
			return fmt.Sprintf("%s: %d are present of %d, %q, %v, %v", n.name, here, len(s.nodes), entry.Value, err,
				n.etcd.State().Err)
		}
	}
	return ""
}

// restart ends a node and starts it again.
func (s *scaleSite) restart(n *scaleNode) {
	s.t.Helper()
	s.stop(n)
	n.start()
	s.check()
}

// comesAndGoes has a node come and go for good.
func (s *scaleSite) comesAndGoes() {
	s.t.Helper()
	const looked = 20 * time.Second // after which all nodes look at the targets that have become theirs
	s.measure("a node comes", func() { s.add(1); s.settle(); time.Sleep(looked) })
	s.measure("it goes for good", func() {
		last := len(s.nodes) - 1
		s.stop(s.nodes[last])
		s.nodes = s.nodes[:last]
		time.Sleep(time.Minute + looked) // in the first minute it may come back
		s.settle()
	})
}

// outage has etcd be away for 30 seconds.
func (s *scaleSite) outage() {
	s.t.Helper()
	away := ownCPU()
	s.etcd.Stop()
	time.Sleep(30 * time.Second)
	began, cpu := time.Now(), ownCPU()
	if err := s.etcd.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	s.t.Logf("etcd was away for 30 s, nodes' CPU %.2f s; all are in step after %.2f s, nodes' CPU %.2f s: %v",
		(cpu - away).Seconds(), time.Since(began).Seconds(), (ownCPU() - cpu).Seconds(), s.figures())
	s.measure("the 30 s after that", func() { time.Sleep(30 * time.Second) })
}

// measureSignIns has users sign in, as many in a second as said, on all nodes together.
func (s *scaleSite) measureSignIns(perSecond int, during time.Duration) {
	s.t.Helper()
	s.signInsSince.Store(time.Now().Unix())
	s.signIns.Store(int64(perSecond / len(s.nodes)))
	s.measure(fmt.Sprintf("%v of %d sign-ins a second", during, perSecond), func() { time.Sleep(during) })
	s.signIns.Store(0)
	time.Sleep(15 * time.Second) // all nodes have told that
}

// moveUsers stores that users were moved, as their moves do.
func (s *scaleSite) moveUsers(number int) {
	s.t.Helper()
	etcd, err := etcdstore.Open(s.t.Context(), etcdstore.Options{Endpoints: []string{"http://" + s.etcd.Address},
		Prefix: "/portico"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer etcd.Close()
	users := move.Records(etcd, "placed/")
	const writers = 64
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := w; i < number; i += writers {
				at := s.databases[i%len(s.databases)].Name
				err := users.Replace(s.t.Context(), fmt.Sprintf("user%d@example.org", i), move.OpenAt(at))
				if err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	s.check()
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
