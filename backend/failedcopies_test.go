package backend

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/configs/store"
)

// A copy that users were moved away from because its mail could not be read stays Failed, over a restart, until
// somebody resumes it: rebalancing, evacuation, sign-ins and moves by name leave it alone.
func TestFailedCopy(t *testing.T) {
	testkit.NoLeaks(t)
	s := store.Memory()
	defer s.Close()
	start := startsTwoCopies(t, s)
	tier := start()
	told := 0
	broken := MoveOptions{End: nobody.End, Unreadable: func(database, server string) (Failure, bool) {
		return Failure{Database: database, Server: server, Reason: "INBOX cannot be read"}, server == "mbx1"
	}, Failed: func(f Failure) {
		if _, err := s.Get(t.Context(), failedKey+copyOf{f.Database, f.Server}.name()); err != nil {
			t.Errorf("told before it is stored: %v", err)
		}
		told++
	}}
	compareMoves(t, tier.MoveAway(t.Context(), "db1", "mbx1", broken), []MoveResult{{"db1", "mbx1", "mbx2", nil}})
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	for range 2 {
		for _, results := range [][]MoveResult{
			tier.Rebalance(t.Context(), broken), tier.Evacuate(t.Context(), "mbx2", broken),
			tier.MoveAway(t.Context(), "db1", "mbx2", broken),
		} {
			compareMoves(t, results, []MoveResult{{"db1", "mbx2", "", ErrFailed}})
			if len(results) == 1 && !strings.Contains(results[0].Err.Error(), "INBOX cannot be read") {
				t.Errorf("it stays: %v", results[0].Err)
			}
		}
		if err := tier.Move(t.Context(), "db1", "mbx1", nobody); !errors.Is(err, ErrFailed) {
			t.Errorf("by name: %v", err)
		}
		r, err := tier.Route(t.Context(), directory.Query{User: "ann"}, nil)
		if err != nil || len(r.Servers) != 1 || r.Servers[0] != "mbx2" {
			t.Errorf("a sign-in goes to %q, %v", r.Servers, err)
		}
		tier.Done(r)
		tier = start()
	}
	if err := tier.Move(t.Context(), "db1", "mbx1", forced); err != nil {
		t.Error(err)
	}
	if f, failed := tier.ActiveManager().Failed("db1", "mbx1"); !failed || f.Reason == "" {
		t.Error("a forced move has ended the failure")
	}
	if err := tier.Move(t.Context(), "db1", "mbx2", nobody); err != nil {
		t.Error(err)
	}
	resumeCopies(t, tier.ActiveManager())
	compareMoves(t, start().Rebalance(t.Context(), nobody), []MoveResult{{"db1", "mbx2", "mbx1", nil}})
}

// startsTwoCopies returns what starts a tier over a store, with a database that has copies on two servers that answer.
func startsTwoCopies(t *testing.T, s store.Store) (start func() *Tier) {
	var servers []ServerOptions
	for _, name := range []string{"mbx1", "mbx2"} {
		server, err := backendtest.NewMemory(backendtest.MemoryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, ServerOptions{Name: name, Addresses: []string{testkit.Serve(t, server)}})
	}
	return func() *Tier {
		t.Helper()
		tier, err := newTestTier(t.Context(), Options{
			Servers: servers, Active: newManager(t, s),
			Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}, Interchangeable: true}},
		})
		if err == nil {
			_, err = tier.Configure(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return tier
	}
}

// resumeCopies ends the failure of db1's copy on mbx1, and tries that where there is none.
func resumeCopies(t *testing.T, m *ActiveManager) {
	t.Helper()
	for _, test := range []struct {
		database, server string
		was              bool
		err              error
	}{
		{"db9", "mbx1", false, ErrUnknownName}, {"db1", "mbx9", false, ErrNoCopy}, {"db1", "mbx1", true, nil},
		{"db1", "mbx1", false, nil},
	} {
		if was, err := m.ClearFailed(t.Context(), test.database, test.server); was != test.was ||
			!errors.Is(err, test.err) {
			t.Errorf("resume %s on %s: %v, %v", test.database, test.server, was, err)
		}
	}
}

// A move that is refused marks nothing.
func TestRefusedMoveMarksNothing(t *testing.T) {
	m := manager(t, store.Memory())
	m.Block(t.Context(), "mbx2", ByOperator)
	asked := MoveOptions{End: nobody.End, Unreadable: func(database, server string) (Failure, bool) {
		return Failure{Database: database, Server: server}, true
	}}
	if err := m.Move(t.Context(), "db1", "mbx2", asked); !errors.Is(err, ErrBlocked) {
		t.Error(err)
	}
	if _, failed := m.Failed("db1", "mbx1"); failed {
		t.Error("marked")
	}
}

// A sign-in that does not reach the active copy goes to no server on which nothing may be activated.
func TestBlockedCopyIsNotTried(t *testing.T) {
	tier := startsTwoCopies(t, store.Memory())()
	for _, want := range []int{2, 1, 2} {
		r, err := tier.Route(t.Context(), directory.Query{User: "alice", Login: "alice"}, nil)
		if err != nil || len(r.Servers) != want || r.Servers[0] != "mbx1" {
			t.Errorf("a sign-in goes to %q, %v", r.Servers, err)
		}
		tier.Done(r)
		change := tier.ActiveManager().Block
		if want == 1 {
			change = tier.ActiveManager().Unblock
		}
		if err := change(t.Context(), "mbx2", "health"); err != nil {
			t.Fatal(err)
		}
	}
}

// Alternatives are the servers that Route gives behind the active copy's: not those that are blocked, or whose copy is
// Failed.
func TestAlternativesAreThoseOfRoute(t *testing.T) {
	tier := startsTwoCopies(t, store.Memory())()
	compare := func(when string, want ...string) {
		t.Helper()
		r, err := tier.Route(t.Context(), directory.Query{User: "ann"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		tier.Done(r)
		if got := tier.Alternatives("db1"); !slices.Equal(got, want) || !slices.Equal(got, r.Servers[1:]) {
			t.Errorf("%s: %q, Route has %q, want %q", when, got, r.Servers, want)
		}
	}
	m := tier.ActiveManager()
	compare("all is well", "mbx2")
	if err := m.Block(t.Context(), "mbx2", ByOperator); err != nil {
		t.Fatal(err)
	}
	compare("mbx2 is blocked")
	if err := m.Unblock(t.Context(), "mbx2", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Fail(t.Context(), Failure{Database: "db1", Server: "mbx2", Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	compare("the copy on mbx2 is Failed")
	if got := tier.Alternatives("db9"); len(got) > 0 {
		t.Errorf("of no database: %q", got)
	}
}
