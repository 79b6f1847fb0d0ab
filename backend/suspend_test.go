package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/directory"
	"portico/backend/move"
	"portico/configs/store"
)

// storage is a Hook that keeps, in a folder, which copies are active; and a call of it that fails.
type storage struct {
	dir   string
	calls []string
	fails string // the call, as it is written down
}

func (s *storage) call(phase, database, from, to string) error {
	call := strings.Join([]string{phase, database, from, to}, " ")
	s.calls = append(s.calls, call)
	if s.fails != "" && strings.HasPrefix(call, s.fails) {
		return errors.New("volume busy")
	}
	return nil
}

func (s *storage) Deactivate(_ context.Context, database, from, to string) error {
	if err := s.call("deactivate", database, from, to); err != nil || s.dir == "" {
		return err
	}
	err := os.Remove(filepath.Join(s.dir, from))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (s *storage) Activate(_ context.Context, database, from, to string) error {
	if err := s.call("activate", database, from, to); err != nil || s.dir == "" {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, to), nil, 0o600)
}

func managerWith(t *testing.T, s store.Store, hook Hook, copies ...string) *ActiveManager {
	t.Helper()
	return managerOf(t, s, nil, hook, copies...)
}

func managerOf(t *testing.T, s store.Store, members *move.Members, hook Hook, copies ...string) *ActiveManager {
	t.Helper()
	m, err := NewActiveManager(t.Context(), s, members, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: copies, Hook: hook},
			{Name: "db2", Copies: copies[:1]}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMoveWithHook(t *testing.T) {
	hook := &storage{}
	m := managerWith(t, store.Memory(), hook, "mbx1", "mbx2", "mbx3")
	ended := false
	if err := m.Move(t.Context(), "db1", "mbx2",
		MoveOptions{End: func(string) { ended = len(hook.calls) == 0 }}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"deactivate db1 mbx1 mbx2", "activate db1 mbx1 mbx2"}; !slices.Equal(hook.calls, want) ||
		!ended {
		t.Errorf("calls %q, sessions ended before: %v", hook.calls, ended)
	}
	if at, _ := m.Active("db1"); at != "mbx2" {
		t.Errorf("active on %s", at)
	}
}

// A hook that fails leaves the database suspended, also over a restart, until it is moved again; and every copy that
// may be active is deactivated by that.
func TestFailingHook(t *testing.T) {
	for _, fails := range []string{"deactivate", "activate"} {
		s := store.Memory()
		hook := &storage{fails: fails}
		m := managerWith(t, s, hook, "mbx1", "mbx2", "mbx3")
		if err := m.Move(t.Context(), "db1", "mbx2", nobody); !errors.Is(err, ErrSuspended) ||
			!strings.Contains(err.Error(), "volume busy") {
			t.Fatalf("%s: %v", fails, err)
		}
		for range 2 {
			if _, err := m.leased(t.Context(), "db1", "ann", func(func()) { t.Error("it waits") }); !errors.Is(err,
				ErrSuspended) {
				t.Errorf("%s: a sign-in: %v", fails, err)
			}
			for _, c := range m.Copies() {
				if c.Suspended != (c.Database == "db1" && c.Server != "mbx3") {
					t.Errorf("%+v", c)
				}
			}
			m = managerWith(t, s, hook, "mbx1", "mbx2", "mbx3") // a restart
		}
		hook.fails, hook.calls = "", nil
		if err := m.Move(t.Context(), "db1", "mbx3", nobody); err != nil {
			t.Fatal(err)
		}
		if want := []string{"deactivate db1 mbx1 mbx3", "deactivate db1 mbx2 mbx3",
			"activate db1 mbx1 mbx3"}; !slices.Equal(hook.calls, want) {
			t.Errorf("%s: calls %q", fails, hook.calls)
		}
		servers, err := managerWith(t, s, hook, "mbx1", "mbx2", "mbx3").leased(t.Context(), "db1", "ann", nil)
		if err != nil || servers[0] != "mbx3" {
			t.Errorf("%s: %q, %v", fails, servers, err)
		}
	}
}

// unopenable cannot store that a database is open somewhere.
type unopenable struct {
	store.Store
	full bool
}

func (s *unopenable) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if s.full && !bytes.HasPrefix(value, []byte("{")) {
		return 0, errors.New("disk full")
	}
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

// A move whose end cannot be stored has failed, though the storage has switched: the database stays suspended, over a
// restart too, and the next move frees it.
func TestEndOfAMoveThatCannotBeStored(t *testing.T) {
	s := &unopenable{Store: store.Memory()}
	m := managerWith(t, s, &storage{}, "mbx1", "mbx2")
	s.full = true
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := m.leased(t.Context(), "db1", "ann", nil); !errors.Is(err, ErrSuspended) {
			t.Errorf("a sign-in: %v", err)
		}
		m = managerWith(t, s, &storage{}, "mbx1", "mbx2") // a restart
	}
	s.full = false
	if err := m.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
		t.Fatal(err)
	}
	if servers, err := m.leased(t.Context(), "db1", "ann", nil); err != nil || servers[0] != "mbx2" {
		t.Errorf("%q, %v", servers, err)
	}
}

// Back to where it was counts as a move while it is suspended.
func TestSuspendedGoesBack(t *testing.T) {
	hook := &storage{fails: "activate"}
	m := managerWith(t, store.Memory(), hook, "mbx1", "mbx2")
	m.Move(t.Context(), "db1", "mbx2", nobody)
	hook.fails, hook.calls = "", nil
	if err := m.Move(t.Context(), "db1", "mbx1", nobody); err != nil {
		t.Fatal(err)
	}
	if want := []string{"deactivate db1 mbx2 mbx1", "activate db1 mbx1 mbx1"}; !slices.Equal(hook.calls, want) {
		t.Errorf("calls %q", hook.calls)
	}
}

// Cut off at any write of the store, a restart never lets anybody in to a copy that the storage has not activated.
func TestHookSurvivesCuts(t *testing.T) {
	for cut := range 8 {
		hook := &storage{dir: t.TempDir()}
		hook.Activate(t.Context(), "db1", "", "mbx1")
		s := &cutStore{Store: store.Memory(), left: math.MaxInt}
		m := managerWith(t, s, hook, "mbx1", "mbx2")
		s.left = cut
		func() {
			defer func() { recover() }() // the process is gone
			m.Move(t.Context(), "db1", "mbx2", nobody)
		}()
		after := managerWith(t, s.Store, hook, "mbx1", "mbx2")
		servers, err := after.leased(t.Context(), "db1", "ann", nil)
		if err != nil {
			if !errors.Is(err, ErrSuspended) {
				t.Errorf("cut %d: %v", cut, err)
			}
			continue
		}
		if _, err := os.Stat(filepath.Join(hook.dir, servers[0])); err != nil {
			t.Errorf("cut %d: users are let in on %s, which is not active", cut, servers[0])
		}
	}
}

// cutStore panics instead of its last writes.
type cutStore struct {
	store.Store
	left int
}

func (s *cutStore) write() {
	if s.left--; s.left < 0 {
		panic("killed")
	}
}

func (s *cutStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	s.write()
	return s.Store.CompareAndSet(ctx, key, revision, value)
}

func (s *cutStore) Delete(ctx context.Context, key string, revision uint64) error {
	s.write()
	return s.Store.Delete(ctx, key, revision)
}

// A user who moves is held, ended, and then somewhere else, whatever the directory says; nobody else waits.
func TestMoveUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		m := managerWith(t, s, nil, "mbx1", "mbx2")
		ctx := t.Context()
		at := func(f func()) { f() }
		if _, err := m.leased(ctx, "db1", "ann", at); err != nil { // under way
			t.Fatal(err)
		}
		var did []string
		moved := make(chan error)
		go func() {
			moved <- m.MoveUser(ctx, "ann", "db2", func(user string) { did = append(did, "end "+user) })
		}()
		synctest.Wait()
		if _, err := m.leased(ctx, "db1", "bob", at); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		m.release("db1", "bob")
		waited := make(chan error)
		go func() {
			_, err := m.leased(ctx, "db1", "ann", at)
			did = append(did, "let in")
			waited <- err
		}()
		synctest.Wait()
		time.Sleep(time.Second)
		if len(did) > 0 {
			t.Errorf("while a sign-in is under way: %q", did)
		}
		m.release("db1", "ann")
		if err := errors.Join(<-moved, <-waited); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(did) != "[end ann let in]" {
			t.Errorf("it went %q", did)
		}
		m.release("db1", "ann")
		if len(m.users) > 0 {
			t.Errorf("counts are left: %v", m.users)
		}
		for _, m := range []*ActiveManager{m, managerWith(t, s, nil, "mbx1", "mbx2")} {
			if db := m.movedTo("ann"); db != "db2" {
				t.Errorf("ann is in %q", db)
			}
		}
		if err := m.MoveUser(ctx, "ann", "nowhere", nobody.End); !errors.Is(err, ErrUnknownName) {
			t.Error(err)
		}
		if err := m.MoveUser(ctx, "ann", "", nobody.End); err != nil {
			t.Error(err)
		}
		if managerWith(t, s, nil, "mbx1").movedTo("ann") != "" {
			t.Error("ann is still moved")
		}
	})
}

// Whatever says where a user is, a move by command beats it, and Where tells; a database that is there no more does
// not.
func TestMovedUsersRoute(t *testing.T) {
	manager := managerWith(t, store.Memory(), nil, "mbx1")
	tier, err := newTestTier(t.Context(), Options{
		Servers:   []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}, {Name: "db2", Copies: []string{"mbx1"}}},
		Active:    manager, Directory: says{directory.Entry{User: "ann.new", Server: "mbx1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	where := func(want string, wantMoved bool) {
		t.Helper()
		r, moved, err := tier.Where(t.Context(), directory.Query{User: "ann"})
		if err != nil || r.Database != want || moved != wantMoved || r.Servers[0] != "mbx1" || r.User != "ann.new" {
			t.Errorf("%+v, moved %v, %v", r, moved, err)
		}
	}
	where("", false)
	if err := manager.MoveUser(t.Context(), "ann.new", "db2", nobody.End); err != nil {
		t.Fatal(err)
	}
	where("db2", true)
	if r, err := tier.Route(t.Context(), directory.Query{User: "ann"}, nil); err != nil || r.Database != "db2" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := manager.Configure(t.Context(),
		[]DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}}); err != nil {
		t.Fatal(err)
	}
	where("", false)
}

// says is a directory that says the same of everybody.
type says struct{ entry directory.Entry }

func (s says) Lookup(context.Context, directory.Query) (directory.Entry, error) { return s.entry, nil }

// Nothing is activated automatically where the policy forbids it; somebody who asks for it by name is obeyed.
func TestPolicy(t *testing.T) {
	manager, err := NewActiveManager(t.Context(), store.Memory(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tier, err := newTestTier(t.Context(), Options{
		Servers: []ServerOptions{
			{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}},
			{Name: "mbx2", Addresses: []string{"192.0.2.2:993"}, Policy: BlockedByPolicy},
		},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}}}, Active: manager,
	})
	if err == nil {
		_, err = tier.Configure(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if results := tier.Evacuate(t.Context(), "mbx1", nobody); len(results) != 1 ||
		!errors.Is(results[0].Err, ErrBlocked) {
		t.Errorf("%+v", results)
	}
	if err := tier.Move(t.Context(), "db1", "mbx2", forced); err != nil {
		t.Errorf("by name: %v", err)
	}
	for _, p := range []Policy{Unrestricted, BlockedByPolicy, ""} {
		if err := manager.SetPolicy(t.Context(), "mbx2", p); err != nil {
			t.Fatal(err)
		}
		want := p
		if want == "" {
			want = BlockedByPolicy
		}
		if got := tier.Policy("mbx2"); got != want {
			t.Errorf("policy %q: %q", p, got)
		}
	}
}

// twoServers returns a tier with one database, whose copies are on two servers, and its sign-in queues.
func twoServers(t *testing.T, manager *ActiveManager) (*Tier, *SigninQueues) {
	t.Helper()
	queues := NewSigninQueues(time.Now)
	tier, err := newTestTier(t.Context(), Options{
		Servers: []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}},
			{Name: "mbx2", Addresses: []string{"192.0.2.2:993"}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}}}, Active: manager,
		SigninQueues: queues,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tier, queues
}

// A sign-in that waits for a paused server does not prevent its database from moving, and goes to the new server.
func TestPausedSignInsFollowAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := managerWith(t, store.Memory(), nil, "mbx1", "mbx2")
		tier, queues := twoServers(t, manager)
		queues.Pause("mbx1", time.Minute)
		routed := make(chan Route)
		go func() {
			r, err := tier.Route(t.Context(), directory.Query{User: "ann"}, nil)
			if err != nil {
				t.Error(err)
			}
			routed <- r
		}()
		synctest.Wait()
		began := time.Now()
		if err := tier.Move(t.Context(), "db1", "mbx2", forced); err != nil || time.Since(began) > 0 {
			t.Errorf("the move: %v after %v", err, time.Since(began))
		}
		if r := <-routed; r.Servers[0] != "mbx2" || time.Since(began) > 0 {
			t.Errorf("routed to %q after %v", r.Servers, time.Since(began))
		}
	})
}

// A sign-in that waits while its user moves goes where the user is then, whatever it waits for.
func TestSignInsFollowAMoveOfTheUser(t *testing.T) {
	for _, test := range []struct {
		name  string
		moves func(m *ActiveManager, move func())
	}{
		{"in a queue", func(_ *ActiveManager, move func()) { move() }},
		{"behind the move", func(m *ActiveManager, move func()) {
			m.mu.Lock()
			m.user("ann").signIns++ // another one, for which the move waits
			m.mu.Unlock()
			go move()
			time.Sleep(20 * time.Second) // the queue lets the sign-in through after 10, so it waits for the move
			m.release("", "ann")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := managerWith(t, store.Memory(), nil, "mbx1")
				queues := NewSigninQueues(time.Now)
				tier, err := newTestTier(t.Context(), Options{
					Servers: []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}},
					Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}},
						{Name: "db2", Copies: []string{"mbx1"}}},
					Active: m, SigninQueues: queues, Directory: says{directory.Entry{User: "ann", Database: "db1"}},
				})
				if err != nil {
					t.Fatal(err)
				}
				queues.Pause("mbx1", 10*time.Second)
				routed := make(chan Route)
				go func() {
					r, err := tier.Route(t.Context(), directory.Query{User: "ann"}, nil)
					if err != nil {
						t.Error(err)
					}
					routed <- r
				}()
				synctest.Wait()
				test.moves(m, func() {
					if err := m.MoveUser(t.Context(), "ann", "db2", func(string) {}); err != nil {
						t.Error(err)
					}
				})
				r := <-routed
				if r.Database != "db2" {
					t.Errorf("routed to %+v", r)
				}
				tier.Done(r)
				if len(m.users) > 0 {
					t.Errorf("counts are left: %v", m.users)
				}
			})
		})
	}
}

// Whoever is held while a database moves is told so, and gives up when the client is gone.
func TestHeldClientsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := managerWith(t, store.Memory(), slowHook{make(chan struct{})}, "mbx1", "mbx2")
		tier, _ := twoServers(t, manager)
		ctx, cancel := context.WithCancel(t.Context())
		moved := make(chan error)
		go func() { moved <- manager.Move(ctx, "db1", "mbx2", nobody) }()
		synctest.Wait()
		gone := errors.New("the client is gone")
		for _, test := range []struct {
			still error
			kind  Kind
			after time.Duration
			told  int
		}{{nil, KindNoActiveCopy, holdTime, 1}, {gone, KindClient, stillWaits, 1}} {
			began, count := time.Now(), 0
			_, err := tier.Route(t.Context(), directory.Query{User: "ann"}, told(func() error {
				count++
				if test.still != nil {
					return &ClientError{Err: test.still}
				}
				return nil
			}))
			var failed *Error
			if !errors.As(err, &failed) || failed.Kind != test.kind || time.Since(began) != test.after ||
				count != test.told {
				t.Errorf("%v after %v, told %d times", err, time.Since(began), count)
			}
		}
		cancel()
		if err := <-moved; !errors.Is(err, ErrSuspended) {
			t.Error(err)
		}
	})
}
