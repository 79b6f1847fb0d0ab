package move

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/cluster"
	"portico/configs/store"
)

// alone is a member of a site that others have left things to.
func alone(t *testing.T, s store.Store, name string) *process {
	t.Helper()
	p := &process{site: newSite(1, 0), name: name, does: make(map[string]*doing)}
	p.ctx, p.cancel = context.WithCancel(t.Context())
	failed := func(err error) { t.Log(err) }
	self := joined(t, s, name, failed)
	var err error
	if p.table, err = NewTable(p.ctx, s, "active/", Options{State: p.State, Members: NewMembers(s, self),
		Failed: failed}); err != nil {
		t.Fatal(err)
	}
	is := p.table.Record("db1").Value
	p.does["db1"] = &doing{by: is.Before(), held: is.Phase == Closing, kick: make(chan struct{})}
	p.site.group.Go(func() { self.Run(p.ctx) })
	p.site.group.Go(func() { p.table.Run(p.ctx, p) })
	t.Cleanup(func() { p.cancel(); p.site.group.Wait() })
	return p
}

func joined(t *testing.T, s store.Store, name string, failed func(error)) *cluster.Member {
	t.Helper()
	self, err := cluster.Join(t.Context(), s, cluster.Node{Name: name}, cluster.Options{Failed: failed})
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func stored(t *testing.T, s store.Store, key string, r Record) {
	t.Helper()
	if _, err := s.CompareAndSet(t.Context(), key, 0, []byte(Text(r))); err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, s store.Store, want string) {
	t.Helper()
	synctest.Wait()
	if e, err := s.Get(t.Context(), "active/db1"); err != nil || string(e.Value) != want {
		t.Errorf("the record is %s, %v, want %s", e.Value, err, want)
	}
}

// An open record is what earlier versions write, and each other record is one that they let nobody in by.
func TestTexts(t *testing.T) {
	for text, want := range map[string]Record{
		"mbx2": OpenAt("mbx2"),
		`{"phase":"closing","at":"mbx1","to":"mbx2","by":"mx1"}`:      {Phase: Closing, At: "mbx1", To: "mbx2", By: "mx1"},
		`{"phase":"suspended","at":"mbx1","between":["mbx1","mbx2"]}`: {Phase: Suspended, At: "mbx1", Between: []string{"mbx1", "mbx2"}},
	} {
		if got, err := Parse(text); err != nil || !got.Equal(want) || Text(got) != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"{", `{"phase":"open","at":"mbx1"}`, `{"phase":"later","at":"mbx1"}`} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}

// What the member's earlier life has left closing is opened again at once, what another one has left, after a time.
// A move waits for that.
func TestAbandonedMoves(t *testing.T) {
	for by, after := range map[string]time.Duration{"mx1": 0, "mx2": AbandonTime} {
		synctest.Test(t, func(t *testing.T) {
			s := store.Memory()
			defer s.Close()
			stored(t, s, "active/db1", Record{Phase: Closing, At: "mbx1", To: "mbx2", By: by})
			p := alone(t, s, "mx1")
			start := time.Now()
			if err := p.tryMove(t.Context(), "db1", "mbx3"); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(start); waited < after || waited > after+10*time.Second {
				t.Errorf("by %s: it has waited for %v", by, waited)
			}
			is(t, s, "mbx3")
			p.cancel()
			p.site.group.Wait()
		})
	}
}

// A move names the members that it waits for, and leaves the thing open where it was. It does not wait for one that has
// stopped.
func TestAbsentMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		stored(t, s, "active/db1", OpenAt("mbx1"))
		p := alone(t, s, "mx1")
		other := joined(t, s, "mx2", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := p.tryMove(ctx, "db1", "mbx2")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "mx2 may still have sessions") {
			t.Error(err)
		}
		is(t, s, "mbx1")
		if p.holds("db1") {
			t.Error("sign-ins are still held")
		}
		if err := other.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.tryMove(t.Context(), "db1", "mbx2"); err != nil {
			t.Error(err)
		}
		p.cancel()
		p.site.group.Wait()
	})
}

// A member whose registration is gone, by somebody's word or a restored store, registers again, and moves wait for it.
func TestRemovedMemberRegistersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		stored(t, s, "active/db1", OpenAt("mbx1"))
		p, q := alone(t, s, "mx1"), alone(t, s, "mx2")
		synctest.Wait()
		e, err := s.Get(t.Context(), nodesKey+"mx2")
		if err == nil {
			err = s.Delete(t.Context(), e.Key, e.Revision)
		}
		synctest.Wait()
		again, getErr := s.Get(t.Context(), nodesKey+"mx2")
		if err != nil || getErr != nil || string(again.Value) == string(e.Value) {
			t.Errorf("it is registered as %s: %v, %v", again.Value, err, getErr)
		}
		q.does["db1"].insides = 1
		moved := make(chan error, 1)
		go func() { moved <- p.tryMove(t.Context(), "db1", "mbx2") }()
		time.Sleep(10 * time.Second)
		if len(moved) > 0 {
			t.Error("the move has not waited")
		}
		q.mu.Lock()
		q.does["db1"].insides = 0
		q.mu.Unlock()
		if err := <-moved; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if is, _ := q.State("db1"); is.At != "mbx2" {
			t.Errorf("the other member is at %+v", is)
		}
		if left, err := s.List(t.Context(), acksKey); err != nil || len(left) > 0 {
			t.Errorf("acknowledgements that are left: %v, %v", left, err)
		}
		p.cancel()
		q.cancel()
		p.site.group.Wait()
		q.site.group.Wait()
	})
}

// A move that fails lets people in again. A member that closes the thing later has to end their sessions, though it had
// found nobody in when another one's move before had closed the thing.
func TestClosingAfterAMoveThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		p := &process{site: newSite(1, 0), name: "mx1", does: make(map[string]*doing), ctx: t.Context()}
		p.does["db1"] = &doing{by: OpenAt("mbx1"), kick: make(chan struct{})}
		var err error
		if p.table, err = NewTable(t.Context(), s, "active/", Options{State: p.State,
			Members: NewMembers(s, joined(t, s, "mx1", nil))}); err != nil {
			t.Fatal(err)
		}
		item := store.Item[Record]{Name: "db1", Value: OpenAt("mbx1")}
		put := func(r Record) { // as another member does
			t.Helper()
			item.Value = r
			if item, err = p.table.put(t.Context(), item); err != nil {
				t.Fatal(err)
			}
		}
		put(OpenAt("mbx1"))
		closing := Record{Phase: Closing, At: "mbx1", To: "mbx2", By: "mx2"}
		put(closing)
		p.table.follow(t.Context(), "db1", p)
		put(OpenAt("mbx1"))
		// Before the member follows that, its own move begins, and has to wait for mx2.
		joined(t, s, "mx2", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.tryMove(ctx, "db1", "mbx3"); err == nil || p.holds("db1") {
			t.Fatal(err)
		}
		item = p.table.Record("db1")
		p.does["db1"].insides = 1
		put(closing)
		followed := make(chan struct{})
		go func() {
			p.table.follow(t.Context(), "db1", p)
			close(followed)
		}()
		time.Sleep(10 * time.Second)
		if closed(followed) {
			t.Error("it has acknowledged while somebody is in")
		}
		p.mu.Lock()
		p.does["db1"].insides = 0
		p.mu.Unlock()
		<-followed
	})
}
