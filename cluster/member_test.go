package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// leases holds entries of a store in memory: an entry goes a while after its writer has, whose life is a context.
type leases struct {
	store.Store
	life context.Context
}

func (l leases) Hold(ctx context.Context, key string, revision uint64, value []byte,
	ttl time.Duration) (<-chan struct{}, error) {
	revision, err := l.CompareAndSet(ctx, key, revision, value)
	if err != nil {
		return nil, err
	}
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		select {
		case <-ctx.Done():
		case <-l.life.Done():
		}
		time.Sleep(ttl)
		l.Delete(context.Background(), key, revision)
	}()
	return lost, nil
}

// away is a store that takes no changes, because of why.
type away struct {
	store.Store
	why error
}

func (s away) CompareAndSet(context.Context, string, uint64, []byte) (uint64, error) { return 0, s.why }

// late is a store whose registrations change long before one hears of it.
type late struct{ store.Store }

func (s late) Watch(ctx context.Context, prefix string) (<-chan []store.Change, error) {
	changes, err := s.Store.Watch(ctx, prefix)
	if err != nil || prefix != nodesKey {
		return changes, err
	}
	heard := make(chan []store.Change)
	go func() {
		defer close(heard)
		for batch := range changes {
			time.Sleep(2 * PresenceTime)
			heard <- batch
		}
	}()
	return heard, nil
}

// join joins a site and keeps the member there until the test, or the returned function, ends it.
func join(t *testing.T, s store.Store, self Node) (m *Member, kill func()) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	m, err := Join(ctx, s, self, Options{Leases: leases{s, ctx}, Failed: func(err error) { t.Log(err) }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx)
	}()
	kill = func() {
		end()
		<-ended
	}
	t.Cleanup(func() {
		kill()
		time.Sleep(PresenceTime) // until its leases are over
		synctest.Wait()
	})
	synctest.Wait()
	return m, kill
}

// absences counts how often a member takes others for absent, from now on.
func absences(t *testing.T, m *Member) *atomic.Int32 {
	var n atomic.Int32
	changed := m.Changed(t.Context())
	go func() {
		for {
			select {
			case <-changed:
				n.Add(int32(len(m.Absent())))
			case <-t.Context().Done():
				return
			}
		}
	}()
	return &n
}

func names(nodes []NodeState) (all []string) {
	for _, node := range nodes {
		all = append(all, node.Name)
	}
	return all
}

// A node is registered and present from its start, absent once it is silent, and neither once it has left.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		start := time.Now()
		a, _ := join(t, s, Node{Name: "mx1", Address: "https://mx1:8443"})
		b, kill := join(t, s, Node{Name: "mx2"})
		if got := a.Present(); !slices.Equal(got, []string{"mx1", "mx2"}) || len(a.Absent()) > 0 {
			t.Errorf("present %q, absent %q", got, names(a.Absent()))
		}
		if got := b.Nodes(); len(got) != 2 || got[0].Address != "https://mx1:8443" || got[0].Boot == got[1].Boot {
			t.Errorf("%+v", got)
		}
		told := a.Changed(t.Context())
		kill()
		time.Sleep(PresenceTime - time.Second)
		if len(a.Absent()) > 0 || len(told) > 0 {
			t.Error("it is absent too early")
		}
		time.Sleep(2 * time.Second)
		absent := a.Absent()
		if got := names(absent); !slices.Equal(got, []string{"mx2"}) || len(told) != 1 ||
			absent[0].Since.Sub(start) != PresenceTime {
			t.Errorf("absent %+v, told %d times", absent, len(told))
		}
		again, kill := join(t, s, Node{Name: "mx2"})
		if err := again.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		kill()
		time.Sleep(time.Minute)
		if got := a.Present(); !slices.Equal(got, []string{"mx1"}) || len(a.Absent()) > 0 {
			t.Errorf("present %q, absent %q", got, names(a.Absent()))
		}
	})
}

// A node that ends properly is absent at no time, whenever others hear of it.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		a, _ := join(t, s, Node{Name: "mx1"})
		b, _ := join(t, late{s}, Node{Name: "mx2"})
		m, end := join(t, s, Node{Name: "mx3"})
		time.Sleep(time.Minute)
		seenByA, seenByB := absences(t, a), absences(t, b)
		end()
		if err := m.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n, late := seenByA.Load(), seenByB.Load(); n > 0 || late > 0 {
			t.Errorf("taken for absent %d times, and %d times by the one that hears late", n, late)
		}
		for _, other := range []*Member{a, b} {
			if all := other.Nodes(); len(all) != 3 || all[2].Present || !all[2].Stopped {
				t.Errorf("%+v", all)
			}
		}
	})
}

// Another machine cannot have the name of a node that is present; the same one can, at once.
func TestTakenNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		_, kill := join(t, s, Node{Name: "mx1", Machine: "a"})
		if _, err := Join(t.Context(), s, Node{Name: "mx1", Machine: "b"}, Options{}); !errors.Is(err, ErrTaken) {
			t.Errorf("another machine: %v", err)
		}
		kill()
		if m, err := Join(t.Context(), s, Node{Name: "mx1", Machine: "a"}, Options{}); err != nil {
			t.Errorf("the same machine: %v, %v", m, err)
		}
		time.Sleep(time.Minute)
		other := func() error {
			_, err := Join(t.Context(), s, Node{Name: "mx1", Machine: "b"}, Options{})
			return err
		}
		if err := other(); !errors.Is(err, ErrTaken) {
			t.Errorf("another machine, while the first is absent: %v", err)
		}
		all, err := Registered(t.Context(), s)
		if err != nil || Remove(t.Context(), s, all[0].Value, true) != nil {
			t.Fatalf("%+v, %v", all, err)
		}
		if err := other(); err != nil {
			t.Errorf("another machine, once the first was removed: %v", err)
		}
		if _, err := Join(t.Context(), s, Node{Name: "mx1", Machine: "a"}, Options{}); !errors.Is(err, ErrTaken) {
			t.Errorf("the first, when it is back: %v", err)
		}
		for _, name := range []string{"", "mx/1", strings.Repeat("m", MaxName+1)} {
			if _, err := Join(t.Context(), s, Node{Name: name}, Options{}); err == nil {
				t.Errorf("%q is taken", name)
			}
		}
	})
}

// A node whose registration is gone registers again, but not in the place of another machine or of its next process.
func TestRegistersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		m, kill := join(t, s, Node{Name: "mx1", Machine: "a"})
		defer kill()
		remove := func() {
			t.Helper()
			e, err := s.Get(t.Context(), nodesKey+"mx1")
			if err == nil {
				err = s.Delete(t.Context(), nodesKey+"mx1", e.Revision)
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		first := m.Boot()
		remove()
		second := m.Boot()
		_, w := m.While()
		if _, err := w.CompareAndSet(t.Context(), "acks/1", 0, nil); err != nil || first == second {
			t.Errorf("boots %s and %s: %v", first, second, err)
		}
		resume := m.Pause()
		remove()
		next, stop := join(t, s, Node{Name: "mx1", Machine: "a"})
		time.Sleep(time.Minute)
		_, w = m.While()
		if _, err := w.CompareAndSet(t.Context(), "acks/2", 0, nil); !errors.Is(err, store.ErrLost) {
			t.Errorf("written beside the next process: %v", err)
		}
		if _, w := next.While(); w.Delete(t.Context(), "acks/1", 2) == nil {
			t.Error("deleted by a wrong revision")
		}
		stop()
		if err := resume(t.Context()); err != nil {
			t.Error(err)
		}
		_, w = m.While()
		if _, err := w.CompareAndSet(t.Context(), "acks/2", 0, nil); err != nil || m.Boot() == second {
			t.Errorf("after the next process has failed: %v", err)
		}
		if _, err := (store.SetOf[Node](s, nodesKey)).Get(t.Context(), "mx1"); err != nil {
			t.Error(err)
		}
		resume = m.Pause()
		failed, cancel := context.WithCancel(t.Context())
		cancel()
		if err := resume(failed); err == nil {
			t.Error("registered though the store did not answer")
		}
		late := Node{Boot: "next", Machine: "a"} // the registration of the process that has failed is seen only now
		if err := store.SetOf[Node](s, nodesKey).Replace(t.Context(), "mx1", late); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all, err := Registered(t.Context(), s); err != nil || all[0].Value.Boot != m.Boot() {
			t.Errorf("after a resume that has failed: %+v, %v", all, err)
		}
		taken := Node{Boot: "other", Machine: "b"}
		if err := store.SetOf[Node](s, nodesKey).Replace(t.Context(), "mx1", taken); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if all, err := Registered(t.Context(), s); err != nil || all[0].Value.Boot != "other" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// Of two processes that run on copies of one data_dir, the first one ends: a move waits for the other alone.
func TestCopiedMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		self, taken := Node{Name: "mx1", Machine: "a"}, make(chan error, 2)
		first, err := Join(ctx, s, self, Options{Leases: leases{s, ctx}, Taken: func(err error) { taken <- err }})
		if err != nil {
			t.Fatal(err)
		}
		go first.Run(ctx)
		second, stop := join(t, s, self)
		defer stop()
		boot := second.Boot()
		time.Sleep(time.Minute)
		select {
		case err := <-taken:
			if !errors.Is(err, ErrTaken) {
				t.Error(err)
			}
		default:
			t.Error("the first one goes on")
		}
		if err := first.Leave(ctx); !errors.Is(err, ErrTaken) {
			t.Errorf("the first one leaves: %v", err)
		}
		if all, err := Registered(ctx, s); err != nil || second.Boot() != boot || all[0].Value.Boot != boot {
			t.Errorf("%+v, %v; the second one had boot %s, and has %s", all, err, boot, second.Boot())
		}
	})
}

// A node that starts while the store is away, or full, goes on as registered, unless it had ended, was another machine,
// or may have been fenced.
func TestJoinsWhileAway(t *testing.T) {
	for stored, refused := range map[string]string{
		`{"boot":"1","machine":"a"}`:                "",
		`{"boot":"1","machine":"a","stopped":true}`: "it had stopped",
		`{"boot":"1","machine":"b"}`:                "another machine",
		`{"boot":"1","machine":"b","stopped":true}`: "it was not registered",
		`{`: "it was not registered",
	} {
		s := store.Memory()
		if _, err := s.CompareAndSet(t.Context(), nodesKey+"mx1", 0, []byte(stored)); err != nil {
			t.Fatal(err)
		}
		join := func(why error, fenced bool, refused string) {
			t.Helper()
			m, err := Join(t.Context(), away{s, why}, Node{Name: "mx1", Machine: "a"}, Options{Fenced: fenced})
			if refused == "" && (err != nil || m.Boot() != "1") ||
				refused != "" && (err == nil || !strings.Contains(err.Error(), refused)) {
				t.Errorf("%s, %v, may be fenced: %t: %v", stored, why, fenced, err)
			}
		}
		for _, why := range []error{store.ErrAway, store.ErrFull} {
			join(why, false, refused)
			join(why, true, cmp.Or(refused, "with cluster.fence"))
		}
		s.Close()
	}
}

// Only a node that serves nobody is removed.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		_, kill := join(t, s, Node{Name: "mx1"})
		judged := func() Node {
			all, err := Registered(t.Context(), s)
			if err != nil || len(all) == 0 {
				return Node{Name: "mx1"}
			}
			return all[0].Value
		}
		remove := func(dead bool, want error) {
			t.Helper()
			if err := Remove(t.Context(), s, judged(), dead); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		remove(true, ErrPresent)
		kill()
		time.Sleep(time.Minute)
		remove(false, ErrMayServe)
		remove(true, nil)
		remove(true, ErrUnknown)
		_, kill = join(t, s, Node{Name: "mx1"})
		dead := judged()
		kill()
		time.Sleep(time.Minute)
		m, kill := join(t, s, Node{Name: "mx1"})
		if err := Remove(t.Context(), s, dead, true); !errors.Is(err, ErrPresent) {
			t.Errorf("in the moment of its start: %v", err)
		}
		kill()
		time.Sleep(time.Minute)
		if err := Remove(t.Context(), s, dead, true); !errors.Is(err, ErrBack) {
			t.Errorf("after another start: %v", err)
		}
		if err := m.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		remove(false, nil)
	})
}

// A registration that cannot be read counts: who has written it may serve users. So it is shown as absent, and can be
// removed.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		m, kill := join(t, s, Node{Name: "mx1"})
		defer kill()
		if _, err := s.CompareAndSet(t.Context(), nodesKey+"other", 0, []byte("{bad")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		absent := m.Absent()
		if len(absent) != 1 || absent[0].Name != "other" {
			t.Fatalf("absent: %+v", absent)
		}
		if err := Remove(t.Context(), s, absent[0].Node, true); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if absent = m.Absent(); len(absent) > 0 {
			t.Errorf("absent: %+v", absent)
		}
	})
}

// A node that is back since it was judged dead is not expelled, and is not taken for absent at any time: neither after
// its start, nor when its next process is about to take its place and fails.
func TestExpel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		a, _ := join(t, s, Node{Name: "mx1"})
		_, kill := join(t, s, Node{Name: "mx2"})
		kill()
		time.Sleep(time.Minute)
		judged := a.Absent()[0]
		absent := absences(t, a)
		again, _ := join(t, s, Node{Name: "mx2"})
		resume := again.Pause()
		_, fail := join(t, s, Node{Name: "mx2"})
		fail()
		if err := resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := absent.Load(); n > 0 {
			t.Errorf("taken for absent %d times", n)
		}
		expel := func(node Node, want bool) {
			t.Helper()
			if done, err := Expel(t.Context(), s, node); done != want || err != nil {
				t.Errorf("boot %s was removed: %t, %v", node.Boot, done, err)
			}
		}
		expel(judged.Node, false)
		judged.Boot = again.Boot()
		expel(judged.Node, true)
		expel(judged.Node, false) // it has registered again, if that took so long
	})
}
