package backend

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// Sign-ins that a move holds do not go to the old copy if another writer's move came first.
func TestHeldSignInsGoToWhereAnotherWriterMoved(t *testing.T) {
	for range 20 { // whether Run or a sign-in is first is open
		synctest.Test(t, func(t *testing.T) {
			s := store.Memory()
			defer s.Close()
			f := follows(t, s, nil)
			other := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3")
			got := make(chan string, 1)
			err := f.Move(t.Context(), "db1", "mbx2", MoveOptions{End: func(string) {
				go func() {
					servers, err := f.leased(t.Context(), "db1", "ann", at(func() {}))
					if err != nil {
						servers = []string{err.Error()}
					}
					f.release("db1", "ann")
					got <- servers[0]
				}()
				synctest.Wait()
				if err := other.Move(t.Context(), "db1", "mbx3", nobody); err != nil {
					t.Error(err)
				}
			}})
			if !errors.Is(err, ErrMovedMeanwhile) {
				t.Error(err)
			}
			if at := <-got; at != "mbx3" {
				t.Errorf("a held sign-in went to %s", at)
			}
			f.compare(t, "db1 moved from mbx1 to mbx3 false", "sessions of db1 end")
		})
	}
}

// A user whom another writer moves while a move here holds the user is followed if that move fails.
func TestUserMovedDuringAFailedMoveIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, s, nil)
		other := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3")
		if _, err := f.leased(t.Context(), "db1", "ann", nil); err != nil { // hangs
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() { failed <- f.MoveUser(t.Context(), "ann", "db1", func(string) { f.note("end") }) }()
		synctest.Wait()
		if err := other.MoveUser(t.Context(), "ann", "db2", func(string) {}); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		f.release("db1", "ann")
		f.compare(t, "ann moved to db2", "sessions of ann end")
	})
}

// stuckStore cannot store that a database is open on mbx2.
type stuckStore struct{ store.Store }

var errStuck = errors.New("stuck")

func (s stuckStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if string(value) == "mbx2" {
		return 0, errStuck
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

// A move that has stored that the database is suspended, and then fails, is not taken for another writer's.
func TestOwnMoveThatFailsLateIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, stuckStore{s}, &storage{})
		for range 2 { // so it can be tried again at once
			if err := f.Move(t.Context(), "db1", "mbx2", nobody); !errors.Is(err, errStuck) {
				t.Error(err)
			}
		}
		f.compare(t)
	})
}

// A reload may not take away the copy to which another writer has just moved a database.
func TestConfigureKeepsWhatAnotherWriterHasMoved(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3") // it does not run, so it does not follow
	other := managerWith(t, s, nil, "mbx1", "mbx2", "mbx3")
	if err := other.Move(t.Context(), "db1", "mbx3", nobody); err != nil {
		t.Fatal(err)
	}
	_, err := m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}}})
	var taken *CopyTakenError
	if !errors.As(err, &taken) || taken.Server != "mbx3" || !taken.Active {
		t.Errorf("%v", err)
	}
}

// All moved users are taken in while sign-ins use the mutex, and each change is followed once.
func TestManyMovedUsersAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		f := follows(t, s, nil)
		users := texts(s, movedUserKey)
		for _, user := range []string{"ann", "bert", "carl"} {
			if _, err := users.Put(t.Context(), store.Item[string]{Name: user, Value: "db2"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		time.Sleep(time.Second)
		f.mu.Lock()
		did := slices.Sorted(slices.Values(f.did))
		f.mu.Unlock()
		want := []string{"ann moved to db2", "bert moved to db2", "carl moved to db2", "sessions of ann end",
			"sessions of bert end", "sessions of carl end"}
		if !slices.Equal(did, want) {
			t.Errorf("it did %q", did)
		}
	})
}
