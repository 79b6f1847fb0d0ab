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
	return member(t, s, name, newSite(1, 0))
}

// someOptional is a member whose things need not have a record.
func someOptional(t *testing.T, s store.Store, name string) *process {
	t.Helper()
	site := newSite(1, 0)
	site.optional = true
	return member(t, s, name, site)
}

func member(t *testing.T, s store.Store, name string, of *site) *process {
	t.Helper()
	p := &process{site: of, name: name, does: make(map[string]*doing)}
	p.ctx, p.cancel = context.WithCancel(t.Context())
	failed := func(err error) { t.Log(err) }
	self := joined(t, s, name, failed)
	var err error
	if p.table, err = NewTable(p.ctx, s, "active/", Options{State: p.State, Members: NewMembers(s, self),
		Optional: of.optional, Failed: failed}); err != nil {
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
		if is, _, _ := q.State("db1"); is.At != "mbx2" {
			t.Errorf("the other member is at %+v", is)
		}
		for _, at := range []*process{p, q} {
			if left := at.table.opt.Members.given.closed; len(left) > 0 {
				t.Errorf("acknowledgements that are left: %v", left)
			}
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

// An acknowledgement counts if it is of the member's present life, and of this record.
func TestAcknowledgementsOfEarlierLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		stored(t, s, "active/db1", OpenAt("mbx1"))
		p := alone(t, s, "mx1")
		first, second := joined(t, s, "mx2", nil), joined(t, s, "mx2", nil)
		moved := make(chan error, 1)
		go func() { moved <- p.tryMove(t.Context(), "db1", "mbx2") }()
		synctest.Wait()
		closing := p.table.Record("db1")
		for _, ack := range []acknowledged{{first.Boot(), map[string]uint64{"active/db1": closing.Revision}},
			{second.Boot(), map[string]uint64{"active/db1": closing.Revision - 1}},
			{second.Boot(), map[string]uint64{"active/db2": closing.Revision}}} {
			if err := acksOf(s).Replace(t.Context(), "mx2", ack); err != nil {
				t.Fatal(err)
			}
			if time.Sleep(10 * time.Second); len(moved) > 0 {
				t.Fatalf("with %+v it has moved: %v", ack, <-moved)
			}
		}
		if _, err := NewMembers(s, second).acknowledge(t.Context(), "active/db1", closing.Revision); err != nil {
			t.Fatal(err)
		}
		if err := <-moved; err != nil {
			t.Error(err)
		}
		p.cancel()
		p.site.group.Wait()
	})
}

// A member that registers again while a thing closes acknowledges again, at once.
func TestAcknowledgesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		stored(t, s, "active/db1", OpenAt("mbx1"))
		p, q := alone(t, s, "mx1"), alone(t, s, "mx2")
		late := joined(t, s, "mx3", nil) // it does not acknowledge
		moved := make(chan error, 1)
		go func() { moved <- p.tryMove(t.Context(), "db1", "mbx2") }()
		synctest.Wait()
		e, err := s.Get(t.Context(), nodesKey+"mx2")
		if err == nil {
			err = s.Delete(t.Context(), e.Key, e.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if err := late.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-moved; err != nil || time.Since(start) > 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		p.cancel()
		q.cancel()
		p.site.group.Wait()
		q.site.group.Wait()
	})
}

// A move that another writer has overtaken does not let people in. What the other one has stored is done here: also if
// this move has not held sign-ins, they are held before that is acknowledged.
func TestMoveIsOvertaken(t *testing.T) {
	for name, other := range map[string]Record{"moved": OpenAt("mbx3"),
		"closes": {Phase: Closing, At: "mbx1", To: "mbx3", By: "mx2"}} {
		synctest.Test(t, func(t *testing.T) {
			s := store.Memory()
			defer s.Close()
			stored(t, s, "active/db1", OpenAt("mbx1"))
			p := alone(t, s, "mx1")
			m, err := p.table.Begin(t.Context(), "db1")
			if err != nil {
				t.Fatal(err)
			}
			item := p.table.Record("db1")
			item.Value = other
			if _, err := Records(s, "active/").Put(t.Context(), item); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := m.Open(t.Context(), "mbx2"); !errors.Is(err, ErrMeanwhile) {
				t.Errorf("%s: %v", name, err)
			}
			if m.Settle(t.Context()) {
				t.Errorf("%s: people are let in as this move says", name)
			}
			m.End()
			time.Sleep(time.Second)
			if is, _, _ := p.State("db1"); other.Phase == Open && is.At != "mbx3" {
				t.Errorf("%s: it is at %+v", name, is)
			}
			if acks, err := s.List(t.Context(), acksKey); err != nil || p.holds("db1") != (len(acks) == 1) ||
				p.holds("db1") != (other.Phase == Closing) {
				t.Errorf("%s: held %v, acknowledged %v, %v", name, p.holds("db1"), acks, err)
			}
			p.cancel()
			p.site.group.Wait()
		})
	}
}

// Things that need not have a record move from where something else decides, and back there. Other members follow that,
// also without acknowledgements, and nobody keeps anything of a thing that is open.
func TestOptionalRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		p, q := someOptional(t, s, "mx1"), someOptional(t, s, "mx2")
		for _, to := range []string{"mbx2", "mbx3", "", "mbx2", ""} {
			if err := p.tryMove(t.Context(), "db1", to); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, at := range []*process{p, q} {
				if is, _, _ := at.State("db1"); !is.Equal(OpenAt(to)) || at.holds("db1") {
					t.Errorf("%s is at %+v, want %q", at.name, is, to)
				}
				if n := len(at.table.things); n > 0 {
					t.Errorf("%s knows of %d things", at.name, n)
				}
			}
			if left := len(p.table.All()); left != 0 && to == "" || left != 1 && to != "" {
				t.Errorf("at %q there are %d records", to, left)
			}
		}
		stored(t, s, "active/db1", OpenAt("mbx2"))
		synctest.Wait()
		e, err := s.Get(t.Context(), "active/db1")
		if err == nil {
			err = s.Delete(t.Context(), e.Key, e.Revision)
		}
		synctest.Wait()
		if is, _, _ := q.State("db1"); err != nil || !is.Equal(OpenAt("")) {
			t.Errorf("after its record was deleted: %+v, %v", is, err)
		}
		p.cancel()
		q.cancel()
		p.site.group.Wait()
		q.site.group.Wait()
	})
}
