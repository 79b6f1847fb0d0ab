package counts_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/cluster/counts"
	"portico/configs/store"
)

// node is a node that counts what there is (kind 0) and events (kind 1).
type node struct {
	name string
	stop context.CancelFunc
	exch *counts.Exchange

	mu     sync.Mutex
	levels map[uint64]uint32
	events map[uint64]uint32 // since they were told
	others [2]map[uint64]int64
	failed int
}

// site are nodes with one store.
type site struct {
	t       *testing.T
	store   *countingStore
	mu      sync.Mutex
	present []string
}

// countingStore counts writes, and fails them if it is told to.
type countingStore struct {
	store.Store
	mu     sync.Mutex
	writes int
	fails  bool
}

func (s *countingStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	s.mu.Lock()
	s.writes++
	fails := s.fails
	s.mu.Unlock()
	if fails {
		return 0, errors.New("the store is away")
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

func (s *countingStore) Delete(ctx context.Context, key string, revision uint64) error {
	s.mu.Lock()
	s.writes++
	s.mu.Unlock()
	return s.Store.Delete(ctx, key, revision)
}

func (s *countingStore) since() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.writes
	s.writes = 0
	return n
}

func (s *countingStore) fail(fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

func newSite(t *testing.T, names ...string) *site {
	s := &site{t: t, store: &countingStore{Store: store.Memory()}, present: names}
	t.Cleanup(func() { s.store.Close() })
	return s
}

func (s *site) nodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.present)
}

func (s *site) setPresent(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present = names
}

func (s *site) start(name string) *node {
	s.t.Helper()
	n := &node{name: name, levels: make(map[uint64]uint32), events: make(map[uint64]uint32),
		others: [2]map[uint64]int64{make(map[uint64]int64), make(map[uint64]int64)}}
	listed := func(of map[uint64]uint32) (all []counts.Count) {
		for key, number := range of {
			all = append(all, counts.Count{Key: key, N: number})
		}
		return all
	}
	var err error
	n.exch, err = counts.New(counts.Options{Store: s.store, Name: name, Present: s.nodes, Random: rand.Reader,
		Failed: func(error) { n.do(func() { n.failed++ }) },
		Kinds: []counts.Kind{{
			Own: func() (all []counts.Count) { n.do(func() { all = listed(n.levels) }); return all },
			Add: func(changes []counts.Change) { n.add(0, changes) },
		}, {
			Events: true,
			Own: func() (all []counts.Count) {
				n.do(func() { all = listed(n.events); clear(n.events) })
				return all
			},
			Add: func(changes []counts.Change) { n.add(1, changes) },
		}}})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.exch.Run(ctx)
	}()
	n.stop = func() { stop(); <-ended }
	s.t.Cleanup(n.stop)
	return n
}

func (n *node) do(what func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what()
}

func (n *node) add(kind int, changes []counts.Change) {
	n.do(func() {
		for _, c := range changes {
			if n.others[kind][c.Key] += c.By; n.others[kind][c.Key] == 0 {
				delete(n.others[kind], c.Key)
			}
		}
	})
}

func (n *node) count(key uint64, number uint32) { n.do(func() { n.levels[key] = number }) }

func (n *node) happens(key uint64) { n.do(func() { n.events[key]++ }) }

// hears checks what a node has heard of the others.
func (n *node) hears(t *testing.T, levels, events map[uint64]int64) {
	t.Helper()
	n.do(func() {
		if !maps.Equal(n.others[0], levels) || !maps.Equal(n.others[1], events) {
			t.Errorf("%s has heard %v and events %v, want %v and %v", n.name, n.others[0], n.others[1], levels, events)
		}
	})
}

// pass lets intervals pass.
func pass(number int) {
	time.Sleep(time.Duration(number) * counts.Interval(3))
	synctest.Wait()
}

type sums = map[uint64]int64

// Nodes add up what the others count, follow changes, and take it back when a node is gone. Events stay.
func TestNodesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b", "c")
		a, b, c := s.start("a"), s.start("b"), s.start("c")
		a.count(1, 5)
		b.count(1, 6)
		a.happens(7)
		a.happens(7)
		pass(1)
		a.hears(t, sums{1: 6}, sums{})
		c.hears(t, sums{1: 11}, sums{7: 2})
		a.count(1, 4)
		a.happens(7)
		b.happens(7)
		pass(1)
		c.hears(t, sums{1: 10}, sums{7: 4})
		a.do(func() { delete(a.levels, 1) })
		pass(20) // and what was told long ago is not told again, nor taken back
		a.happens(7)
		pass(1)
		c.hears(t, sums{1: 6}, sums{7: 5})
		if state := c.exch.State(); state.Heard != 2 || state.Told != 0 {
			t.Errorf("%+v", state)
		}
		s.setPresent("a", "c")
		pass(1)
		c.hears(t, sums{}, sums{7: 5})
		s.setPresent("a", "b", "c")
		pass(1)
		c.hears(t, sums{1: 6}, sums{7: 5})
		b.stop() // says nothing more, and is not missed yet
		pass(7)
		c.hears(t, sums{}, sums{7: 5})
		b = s.start("b") // counts from 0
		b.happens(7)
		pass(1)
		c.hears(t, sums{}, sums{7: 6})
	})
}

// What cannot be told meanwhile is told later; what is heard no more does not count for long.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		a, b := s.start("a"), s.start("b")
		a.count(1, 5)
		pass(1)
		s.store.fail(true)
		a.happens(7)
		pass(10)
		a.happens(7)
		b.hears(t, sums{}, sums{})
		s.store.fail(false)
		pass(2)
		b.hears(t, sums{1: 5}, sums{7: 2})
		if state := a.exch.State(); a.failed != 1 || state.Failed < 5 {
			t.Errorf("%d times said that counts cannot be told, %d failed", a.failed, state.Failed)
		}
	})
}

// A list has the largest counts, and nothing is written while there is nothing to tell, or nobody to hear it.
func TestListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a")
		a := s.start("a")
		a.count(1, 5)
		a.happens(7)
		pass(10)
		if n := s.store.since(); n != 0 {
			t.Errorf("%d writes of a node that is alone", n)
		}
		s.setPresent("a", "b")
		b := s.start("b")
		a.do(func() { delete(a.levels, 1) })
		pass(10)
		if n := s.store.since(); n != 0 {
			t.Errorf("%d writes of nodes with nothing to tell", n)
		}
		a.count(2, 9)
		pass(100)
		if n := s.store.since(); n > 51 {
			t.Errorf("%d writes in 100 intervals in which nothing changes", n)
		}
		for i := range uint32(3 * counts.MaxCounts) {
			a.count(uint64(100+i), 10+i)
			a.happens(uint64(100 + i))
		}
		pass(1)
		b.do(func() {
			if len(b.others[0]) != counts.MaxCounts || b.others[0][100] != 0 ||
				b.others[0][99+3*counts.MaxCounts] == 0 {
				t.Errorf("%d counts, the least %d", len(b.others[0]), b.others[0][100])
			}
			if len(b.others[1]) != counts.MaxCounts {
				t.Errorf("%d events", len(b.others[1]))
			}
		})
	})
}

// Whatever is in the store, only what a list can be is added.
func TestOtherValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b", "c")
		a := s.start("a")
		full := "\x01startxxx" + "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x03"
		for i, value := range []string{"", "\x01", "\x02startxxx\x00\x00\x00\x00", full, full + "\x00",
			full + "\xff\xff" + strings.Repeat("x", 100), full + "\x00\x02" + strings.Repeat("x", 12)} {
			if _, err := s.store.CompareAndSet(t.Context(), fmt.Sprint("heavy/b", i), 0, []byte(value)); err != nil {
				t.Fatal(err)
			}
			s.setPresent(append(s.nodes(), fmt.Sprint("b", i))...)
		}
		pass(1)
		a.hears(t, sums{}, sums{})
		if _, err := s.store.CompareAndSet(t.Context(), "heavy/c", 0, []byte(full+"\x00\x00"+"more")); err != nil {
			t.Fatal(err)
		}
		pass(1)
		a.hears(t, sums{5: 3}, sums{})
	})
}

// All nodes have the seed that was made first.
func TestSeed(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	var seeds sync.Map
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			seed, err := counts.Seed(t.Context(), s, rand.Reader)
			if err != nil || len(seed) != counts.SeedSize {
				t.Errorf("%x: %v", seed, err)
			}
			seeds.Store(string(seed), true)
		})
	}
	all.Wait()
	number := 0
	seeds.Range(func(any, any) bool { number++; return true })
	if number != 1 {
		t.Errorf("%d seeds", number)
	}
}

// Two hundred nodes write twenty lists a second.
func TestInterval(t *testing.T) {
	for nodes, want := range map[int]time.Duration{0: 2 * time.Second, 1: 2 * time.Second, 40: 2 * time.Second,
		41: 2050 * time.Millisecond, 200: 10 * time.Second} {
		if got := counts.Interval(nodes); got != want {
			t.Errorf("%d nodes: %v, want %v", nodes, got, want)
		}
	}
}
