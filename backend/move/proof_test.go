package move

import (
	"testing"
	"testing/synctest"
	"time"
)

// run starts five nodes, three of which move things, and breaks them for a quarter of an hour.
func (s *site) run() {
	for i, p := range s.nodes {
		p.start(i < 3, 0)
	}
	s.faults(time.Hour / 4)
}

// However processes die and are cut off, nobody is let in at one place while somebody is in at another. In the end,
// things are open again. Every second site has things that need not have a record.
func TestNeverAtTwoPlaces(t *testing.T) {
	moved := 0
	for seed := range uint64(*seeds) {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(seed, 5)
			s.optional = seed%2 == 1
			s.run()
			s.settles(t)
			s.end()
			if c := s.counts; c.wrong > 0 || c.moved < 10 || c.admitted < 1000 || c.killed < 5 {
				t.Errorf("seed %d: %+v", seed, c)
			}
			moved += s.counts.moved
		})
	}
	t.Logf("%d moves", moved)
}

// The same checks find what is wrong with not waiting for members whose lease is over.
func TestLeasesAreNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(1, 5)
		s.leases = true
		s.run()
		if s.end(); s.counts.wrong == 0 {
			t.Errorf("nothing found: %+v", s.counts)
		}
		t.Logf("%+v", s.counts)
	})
}

// A mover and a member may die before and after each of their writes. The thing is open again when the dead one is
// back, or can be moved where a hook was under way.
func TestDeathAtEachWrite(t *testing.T) {
	for victim := range 2 {
		for write := 1; write <= 6; write++ {
			for _, at := range []int{-write, write} {
				for _, optional := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) { diesAt(t, victim, at, optional) })
				}
			}
		}
	}
}

// diesAt has one of three nodes die before or after one of its writes.
func diesAt(t *testing.T, victim, write int, optional bool) {
	s := newSite(uint64(max(write, -write)), 3)
	s.optional = optional
	s.nodes[0].hooks = true
	for i, p := range s.nodes {
		dies := 0
		if i == victim {
			dies = write
		}
		p.start(i == 0, dies)
	}
	time.Sleep(3 * time.Minute)
	died := s.nodes[victim].ctx.Err() != nil
	if s.kill(s.nodes[victim]); !died {
		t.Errorf("victim %d lives on at its write %d", victim, write)
	}
	s.nodes[victim].start(false, 0)
	s.settles(t)
	if s.end(); s.counts.wrong > 0 {
		t.Errorf("victim %d, write %d, optional %v: %+v", victim, write, optional, s.counts)
	}
}
