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
	s := newScaleSite(t, 2, 0)
	s.moves = true
	s.start(nodes)
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
	s := newScaleSite(t, 1000, 0)
	s.measure("the first node starts", func() { s.start(1) })
	defer s.stopAll()
	s.measure("the others start, ten a second", func() {
		for left := *scaleNodes - 1; left > 0; left -= 10 {
			began := time.Now()
			s.start(min(left, 10))
			time.Sleep(time.Second - time.Since(began))
		}
		s.settle()
	})
	s.logMemory()
	t.Run("moves", s.part(func() {
		s.measure("10 s of quiet", func() { time.Sleep(10 * time.Second) })
		s.thereAndBack("a move", 1)
		s.thereAndBack("100 moves at once", 100)
	}))
	t.Run("counts", s.part(func() {
		for _, s.counts = range []int{100, 500} {
			time.Sleep(15 * time.Second)
			s.measure(fmt.Sprintf("10 s of %d counts of two kinds", s.counts), func() { time.Sleep(10 * time.Second) })
		}
		s.thereAndBack("100 moves at once, meanwhile", 100)
		s.counts = 0
	}))
	t.Run("outage", s.part(func() {
		began, cpu := time.Now(), ownCPU()
		s.etcd.Stop()
		time.Sleep(30 * time.Second)
		if err := s.etcd.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.settle()
		t.Logf("etcd is away for 30 s: %.2f s, nodes' CPU %.2f s: %v", time.Since(began).Seconds(),
			(ownCPU() - cpu).Seconds(), s.figures())
	}))
	t.Run("restart", s.part(func() {
		s.measure("all nodes start again at once", func() { s.stopAll(); s.start(*scaleNodes); s.settle() })
	}))
	s.logMemory()
	s.failures.Range(func(what, node any) bool {
		t.Logf("%s: %s", node, what)
		return true
	})
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

// part is a part of a test that can be run alone.
func (s *scaleSite) part(do func()) func(t *testing.T) {
	return func(t *testing.T) {
		outer := s.t
		s.t = t
		defer func() { s.t = outer }()
		do()
	}
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
