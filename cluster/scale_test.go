//go:build unix

package cluster_test

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// scaleDatabases is how many databases a large site has.
const scaleDatabases = 1000

var scaleNodes = flag.Int("scale-nodes", 0, "nodes of the site of TestSiteAtScale; 0 leaves it out")

// measure logs what something costs etcd and this process.
func (s *scaleSite) measure(what string, do func()) etcdFigures {
	s.t.Helper()
	before, began, cpu := s.figures(), time.Now(), ownCPU()
	do()
	cost := s.figures().less(before)
	s.t.Logf("%-40s %6.2f s, nodes' CPU %6.2f s: %v", what, time.Since(began).Seconds(), (ownCPU() - cpu).Seconds(),
		cost)
	return cost
}

// A move costs etcd one write of each other node, of which the node that moves the database alone hears, and what all
// hear: that it closes and that it is open.
func TestMoveAmongManyNodes(t *testing.T) {
	const nodes = 20
	s := newScaleSite(t, 2)
	s.moves = true
	s.add(nodes)
	defer s.stopAll()
	s.settle()
	cost := s.measure("a move", func() {
		s.move(s.databases[:1], 1)
		testkit.Eventually(t, "all nodes have followed", func() bool { return s.at(s.databases[:1], 1) })
	})
	if cost.writes > nodes-1+2 || cost.events > nodes-1+2*nodes {
		t.Errorf("a move among %d nodes: %v", nodes, cost)
	}
}

// What a site of many nodes costs etcd and its nodes, and how long it takes.
func TestSiteAtScale(t *testing.T) {
	if *scaleNodes == 0 {
		t.Skip("see make soak-scale")
	}
	s := newScaleSite(t, scaleDatabases)
	s.measure("the first node starts", func() { s.add(1) })
	defer s.stopAll()
	s.measure("the others start, five at a time", func() { s.addInTurn(*scaleNodes); s.settle() })
	s.logMemory()
	time.Sleep(15 * time.Second) // the new ones have looked at their targets
	s.part("quiet", func() { s.measure("10 s of quiet", func() { time.Sleep(10 * time.Second) }) })
	s.part("moves", func() {
		s.thereAndBack("a move", 1)
		s.thereAndBack("100 moves at once", 100)
	})
	s.part("sign-ins", func() { s.measureSignIns(10000, 30*time.Second) })
	s.part("counts", func() {
		for _, counts := range []int64{100, 500} {
			s.counts.Store(counts)
			time.Sleep(15 * time.Second)
			s.measure(fmt.Sprintf("10 s of %d counts of two kinds", counts), func() { time.Sleep(10 * time.Second) })
		}
		s.counts.Store(0)
		time.Sleep(15 * time.Second)
	})
	s.part("outage", s.outage)
	s.part("comes", s.comesAndGoes)
	s.part("restart", func() {
		s.measure("one node starts again", func() { s.restart(s.nodes[len(s.nodes)-1]); s.settle() })
		s.measure("20 nodes start again, one after another", func() {
			for _, n := range s.nodes[:20] {
				s.restart(n)
			}
			s.settle()
		})
	})
	s.logMemory()
	s.logFailures()
}

// How long many nodes take that start at once.
func TestStartAtOnce(t *testing.T) {
	if *scaleNodes == 0 {
		t.Skip("see make soak-scale")
	}
	for _, nodes := range []int{20, 50, 100} {
		if nodes > *scaleNodes {
			break
		}
		ok := t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			s := newScaleSite(t, scaleDatabases)
			s.add(1)
			defer s.stopAll()
			s.measure("the others start at once", func() { s.add(nodes - 1); s.settle() })
			s.logFailures()
		})
		if !ok {
			break
		}
	}
}

// What moved users cost: each node knows all of them.
func TestMovedUsersAtScale(t *testing.T) {
	if *scaleNodes == 0 {
		t.Skip("see make soak-scale")
	}
	const nodes = 10
	for _, users := range []int{0, 50_000} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			s := newScaleSite(t, scaleDatabases)
			s.add(1)
			s.stopAll()
			s.measure("users are moved", func() { s.moveUsers(users) })
			defer s.stopAll()
			s.measure("a node starts that keeps a file", func() { s.add(1) })
			s.measure("the others start, five at a time", func() { s.addInTurn(nodes); s.settle() })
			s.logMemory()
			s.measure("one node starts again", func() { s.restart(s.nodes[1]); s.settle() })
		})
	}
}

// logMemory logs what memory the nodes have together, and etcd.
func (s *scaleSite) logMemory() {
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	nodes := float64(len(s.nodes))
	s.t.Logf("by node: %.2f MB of heap, %.2f MB of all memory, %.0f goroutines; etcd has %.0f MB",
		float64(memory.HeapAlloc)/1e6/nodes, float64(memory.Sys-memory.HeapReleased)/1e6/nodes,
		float64(runtime.NumGoroutine())/nodes, s.figures().memory/1e6)
}

// logFailures logs what nodes could not do.
func (s *scaleSite) logFailures() {
	s.failures.Range(func(what, node any) bool {
		s.t.Logf("%s: %s", node, what)
		return true
	})
}

// part is a part of a test that can be run alone.
func (s *scaleSite) part(name string, do func()) {
	outer := s.t
	defer func() { s.t = outer }()
	outer.Run(name, func(t *testing.T) {
		s.t = t
		do()
	})
}

// thereAndBack moves databases there and back, and measures each way.
func (s *scaleSite) thereAndBack(what string, number int) {
	s.t.Helper()
	for copy := range 2 {
		if s.t.Failed() {
			return
		}
		s.measure(what, func() {
			s.move(s.databases[:number], 1-copy)
			s.measure("  (until the mover was done)", func() {})
			for deadline := time.Now().Add(5 * time.Minute); !s.t.Failed() && !s.at(s.databases[:number], 1-copy); {
				if time.Sleep(10 * time.Millisecond); time.Now().After(deadline) {
					s.t.Fatal("some nodes do not follow")
				}
			}
		})
	}
	time.Sleep(3 * time.Second) // the rest
}
