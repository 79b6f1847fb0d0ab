package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/move"
	"portico/configs/store"
)

// follower is a manager that follows a store, and what it does with users.
type follower struct {
	*ActiveManager
	queues *SigninQueues
	mu     sync.Mutex
	did    []string
}

func follows(t *testing.T, s store.Store, hook Hook) *follower { return followsAs(t, s, nil, hook) }

// followsAs is follows for one of several members.
func followsAs(t *testing.T, s store.Store, members *move.Members, hook Hook) *follower {
	f := &follower{ActiveManager: managerOf(t, s, members, hook, "mbx1", "mbx2", "mbx3"),
		queues: NewSigninQueues(time.Now)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx, FollowOptions{
			End:     func(database string) { f.note("sessions of " + database + " end") },
			EndUser: func(user string) { f.note("sessions of " + user + " end") },
			Queues:  f.queues,
			Moved: func(database, from, to string, suspended bool) {
				f.note(fmt.Sprintf("%s moved from %s to %s %v", database, from, to, suspended))
			},
			UserMoved: func(user, database string) { f.note(user + " moved to " + database) },
			Failed:    func(err error) { f.note(err.Error()) },
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
	return f
}

func (f *follower) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what)
}

// compare waits until all is followed, and holds what was done since the last time against what should be.
func (f *follower) compare(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.did, want) {
		t.Errorf("it did %q, want %q", f.did, want)
	}
	f.did = nil
}

// A database that another writer moves is there at once for new sign-ins. Sessions and sign-ins under way end as in a
// move made here, and the hook runs at the other writer's alone.
func TestMoveByAnotherWriterIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		here, elsewhere := &storage{}, &storage{}
		f := follows(t, s, here)
		other := managerWith(t, s, elsewhere, "mbx1", "mbx2", "mbx3")
		if err := other.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		servers, err := f.leased(t.Context(), "db1", "ann", at(func() { t.Error("it waits") }))
		if err != nil || servers[0] != "mbx2" {
			t.Errorf("a new sign-in: %q, %v", servers, err)
		}
		if ends := slices.Index(f.did, "sessions of db1 end"); ends < 0 || len(here.calls) > 0 {
			t.Errorf("it did %q; its hook was called: %q", f.did, here.calls)
		}
		if !f.queues.queue("mbx2").paced.After(time.Now()) && f.queues.pace.For > 0 {
			t.Error("clients come back all at once")
		}
		f.did = nil
		// A sign-in is under way: new ones wait for it, and it becomes a session that ends.
		moved := make(chan error)
		go func() { moved <- other.Move(t.Context(), "db1", "mbx3", nobody) }()
		if err := <-moved; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := strings.Join(f.did, ", "); strings.Contains(got, "end") || !strings.Contains(got, "db1 moved") {
			t.Errorf("with a sign-in under way it did %q", got)
		}
		waited := make(chan string)
		go func() {
			servers, err := f.leased(t.Context(), "db1", "bert", at(func() {}))
			waited <- fmt.Sprint(servers, err)
		}()
		synctest.Wait()
		f.release("db1", "ann")
		if got := <-waited; !strings.HasPrefix(got, "[mbx3 ") {
			t.Errorf("a sign-in that has waited: %s", got)
		}
		synctest.Wait()
		if !slices.Contains(f.did, "sessions of db1 end") {
			t.Errorf("it did %q", f.did)
		}
		if f.did = nil; len(elsewhere.calls) != 4 {
			t.Errorf("hooks elsewhere: %q", elsewhere.calls)
		}
		// What this process has moved itself it does not follow.
		f.release("db1", "bert")
		if err := f.Move(t.Context(), "db1", "mbx1", nobody); err != nil {
			t.Fatal(err)
		}
		f.compare(t)
	})
}

// While another writer's hook runs, and after it has failed, nobody is let in here either.
func TestSuspensionByAnotherWriterIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, s, &storage{})
		broken := &storage{fails: "activate"}
		other := managerWith(t, s, broken, "mbx1", "mbx2", "mbx3")
		if err := other.Move(t.Context(), "db1", "mbx2", nobody); !errors.Is(err, ErrSuspended) {
			t.Fatal(err)
		}
		f.compare(t, "db1 moved from mbx1 to mbx1 true", "sessions of db1 end")
		if _, err := f.leased(t.Context(), "db1", "ann", nil); !errors.Is(err, ErrSuspended) {
			t.Errorf("a sign-in: %v", err)
		}
		if err := f.Move(t.Context(), "db1", "mbx3", nobody); err != nil { // here, with its own hook
			t.Fatal(err)
		}
		f.compare(t)
		servers, err := f.leased(t.Context(), "db1", "ann", nil)
		if err != nil || servers[0] != "mbx3" {
			t.Errorf("a sign-in: %q, %v", servers, err)
		}
	})
}

// Of two writers that move a database at the same time, one fails, and both come to the same copy. An active copy that
// somebody deletes stays, and a reload stores it again.
func TestTwoMovesOfOneDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, s, nil)
		other := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3")
		err := f.Move(t.Context(), "db1", "mbx2", MoveOptions{End: func(string) {
			if err := other.Move(t.Context(), "db1", "mbx3", nobody); err != nil {
				t.Error(err)
			}
		}})
		if !errors.Is(err, ErrMovedMeanwhile) || !errors.Is(err, store.ErrConflict) {
			t.Errorf("the later move: %v", err)
		}
		f.compare(t, "db1 moved from mbx1 to mbx3 false", "sessions of db1 end")
		if at, _ := f.Active("db1"); at != "mbx3" {
			t.Errorf("db1 is on %s", at)
		}
		entry, err := s.Get(t.Context(), activeKey+"db1")
		if err == nil {
			err = s.Delete(t.Context(), entry.Key, entry.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.compare(t)
		copies := []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx3"}}}
		if _, err := f.Configure(t.Context(), copies); err != nil {
			t.Fatal(err)
		}
		f.compare(t)
		if active, err := ActiveCopies(t.Context(), s); err != nil || active["db1"] != "mbx3" {
			t.Errorf("the store has %v, %v", active, err)
		}
	})
}

// Sign-ins under way that take long do not keep another writer's move from ending sessions, and those that wait
// get to no second copy.
func TestFollowedMoveThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, s, nil)
		f.leased(t.Context(), "db1", "ann", nil)
		other := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3")
		if err := other.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
			t.Fatal(err)
		}
		f.compare(t, "db1 moved from mbx1 to mbx2 false")
		time.Sleep(quietTime)
		f.compare(t, "sessions of db1 end", "database db1, moved by another writer of the store: wait for the "+
			"sign-ins in progress: context deadline exceeded")
		if _, err := f.lease(t.Context(), "db1", "bert", time.Second, waits(nil)); !errors.Is(err, errStillHeld) {
			t.Errorf("a second sign-in: %v", err)
		}
		f.release("db1", "ann")
		f.compare(t, "sessions of db1 end")
	})
}

// Blocks, policies, Failed copies and moved users of another writer count here, and so does their removal. Two writers
// that change the same entry lose nothing.
func TestStateByAnotherWriterIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, s, nil)
		other := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3")
		ctx := t.Context()
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		do(other.Block(ctx, "mbx2", "operator"))
		if servers, err := f.leased(ctx, "db1", "ann", nil); err != nil || strings.Join(servers, " ") != "mbx1 mbx3" {
			t.Errorf("with mbx2 blocked: %q, %v", servers, err)
		}
		f.release("db1", "ann")
		do(f.Block(ctx, "mbx2", "health"))
		if got := strings.Join(f.BlockedBy("mbx2"), " "); got != "operator health" {
			t.Errorf("blocked by %q", got)
		}
		do(other.Unblock(ctx, "mbx2", "operator")) // other does not follow, and decides by the store all the same
		do(f.Unblock(ctx, "mbx2", "health"))
		if got := f.BlockedBy("mbx2"); len(got) > 0 || f.Blocked("mbx2") {
			t.Errorf("blocked by %q", got)
		}
		do(other.SetPolicy(ctx, "mbx3", BlockedByPolicy))
		if got := f.Policy("mbx3"); got != BlockedByPolicy {
			t.Errorf("policy %q", got)
		}
		do(other.SetPolicy(ctx, "mbx3", ""))
		if got := f.Policy("mbx3"); got != "" {
			t.Errorf("policy %q", got)
		}
		failure := Failure{Database: "db1", Server: "mbx2", Since: time.Now(), Reason: "EIO"}
		for i, m := range []*ActiveManager{other, f.ActiveManager} {
			if newly, err := m.Fail(ctx, failure); err != nil || newly != (i == 0) {
				t.Errorf("writer %d: newly %v, %v", i, newly, err)
			}
		}
		synctest.Wait()
		if got, failed := f.Failed("db1", "mbx2"); !failed || got.Reason != "EIO" {
			t.Errorf("Failed: %v, %+v", failed, got)
		}
		f.compare(t)
		noEnd := func(string) {}
		do(other.MoveUser(ctx, "ann", "db2", noEnd))
		f.compare(t, "ann moved to db2", "sessions of ann end")
		if database := f.movedTo("ann"); database != "db2" {
			t.Errorf("ann is in %q", database)
		}
		do(other.MoveUser(ctx, "ann", "", noEnd))
		f.compare(t, "ann moved to ", "sessions of ann end")
		do(f.MoveUser(ctx, "ann", "db2", noEnd))
		f.compare(t)
	})
}
