package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// election is a store in memory, with entries that go away by themselves or when a test says so.
type election struct {
	store.Store
	mu   sync.Mutex
	down error             // what Hold returns
	ends map[string]func() // by value: ends the lease of that holder, who does not notice by itself
}

func (s *election) Hold(ctx context.Context, key string, _ uint64, value []byte,
	_ time.Duration) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	revision, err := s.CompareAndSet(ctx, key, 0, value)
	if err != nil {
		return nil, err
	}
	over, end := context.WithCancel(ctx)
	s.ends[string(value)] = end
	lost := make(chan struct{})
	go func() {
		<-over.Done()
		s.Delete(context.Background(), key, revision)
		close(lost)
	}()
	return lost, nil
}

// electorate runs the parts of some nodes.
type electorate struct {
	store *election
	parts map[string]*Election
	stop  map[string]func()
}

func elect(t *testing.T, names ...string) electorate {
	e := electorate{&election{Store: store.Memory(), ends: make(map[string]func())}, make(map[string]*Election),
		make(map[string]func())}
	var work sync.WaitGroup
	for _, name := range names {
		l := NewElection(e.store, e.store, name, func(err error) {
			if !errors.Is(err, context.DeadlineExceeded) { // as a test has it
				t.Error(err)
			}
		})
		ctx, stop := context.WithCancel(t.Context())
		e.parts[name], e.stop[name] = l, stop
		work.Go(func() { l.Run(ctx) })
	}
	t.Cleanup(func() {
		for _, stop := range e.stop {
			stop()
		}
		work.Wait()
		e.store.Close()
	})
	synctest.Wait()
	return e
}

// leading names those that take themselves for the leader.
func (e electorate) leading() string {
	var names []string
	for name, l := range e.parts {
		if l.Leads() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// One node leads, and all know which. When it ends, when its lease does, and when it resigns, another one leads. A
// node that is alone leads again after it has resigned.
func TestLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := elect(t, "mx1", "mx2")
		first := e.leading()
		if first != "mx1" && first != "mx2" || e.parts["mx1"].Name() != first || e.parts["mx2"].Name() != first {
			t.Fatalf("%q leads; mx1 knows %q", first, e.parts["mx1"].Name())
		}
		second := map[string]string{"mx1": "mx2", "mx2": "mx1"}[first]
		e.parts[first].Resign()
		if e.parts[first].Leads() {
			t.Error("it leads after it has resigned")
		}
		synctest.Wait()
		if got := e.leading(); got != second {
			t.Errorf("after a resignation %q leads", got)
		}
		time.Sleep(2 * standAside)
		synctest.Wait()
		if got := e.leading(); got != second {
			t.Errorf("later %q leads", got)
		}
		e.store.ends[second]()
		synctest.Wait()
		if got := e.leading(); got != "mx1" && got != "mx2" {
			t.Errorf("after a lease has ended %q leads", got)
		}
		last := map[string]string{"mx1": "mx2", "mx2": "mx1"}[e.leading()]
		e.stop[e.leading()]()
		synctest.Wait()
		if got := e.leading(); got != last {
			t.Errorf("after an end %q leads", got)
		}
		e.parts[last].Resign()
		synctest.Wait()
		if got := e.leading(); got != "" || e.parts[last].Name() != "" {
			t.Errorf("%q leads", got)
		}
		time.Sleep(standAside)
		synctest.Wait()
		if got := e.leading(); got != last {
			t.Errorf("alone, %q leads after it has resigned", got)
		}
	})
}

// A node stands for election again after the store has failed.
func TestLeaderAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := elect(t, "mx1")
		e.store.mu.Lock()
		e.store.down = context.DeadlineExceeded
		e.store.mu.Unlock()
		e.store.ends["mx1"]()
		time.Sleep(time.Minute)
		if got := e.leading(); got != "" {
			t.Errorf("%q leads", got)
		}
		e.store.mu.Lock()
		e.store.down = nil
		e.store.mu.Unlock()
		time.Sleep(tryAgain)
		synctest.Wait()
		if got := e.leading(); got != "mx1" {
			t.Errorf("%q leads", got)
		}
	})
}

// A Portico without a site leads.
func TestNoElection(t *testing.T) {
	var l *Election
	if l.Resign(); !l.Leads() {
		t.Error("it does not lead")
	}
}
