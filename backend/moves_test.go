package backend

import (
	"errors"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// Who is to move and why not, database by database: mbx1 and mbx2 answer, mbx3 does not, mbx4 is blocked.
func TestEvacuateAndRebalance(t *testing.T) {
	testkit.NoLeaks(t)
	var servers []ServerOptions
	for _, name := range []string{"mbx1", "mbx2", "mbx3", "mbx4"} {
		at := "127.0.0.1:1"
		if name != "mbx3" {
			server, err := backendtest.NewMemory(backendtest.MemoryOptions{})
			if err != nil {
				t.Fatal(err)
			}
			at = testkit.Serve(t, server)
		}
		servers = append(servers, ServerOptions{Name: name, Addresses: []string{at}})
	}
	tier, err := newTestTier(t.Context(), Options{Servers: servers, Routing: RoutingSingle, Directory: knows{},
		Databases: []DatabaseOptions{
			{Name: "alone", Copies: []string{"mbx1"}},
			{Name: "elsewhere", Copies: []string{"mbx2", "mbx1"}},
			{Name: "fine", Copies: []string{"mbx1", "mbx3", "mbx2"}},
			{Name: "stuck", Copies: []string{"mbx1", "mbx3"}},
			{Name: "unwanted", Copies: []string{"mbx1", "mbx4"}},
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tier.ActiveManager().Block(t.Context(), "mbx4", ByOperator); err != nil {
		t.Fatal(err)
	}
	want := []MoveResult{
		{"alone", "mbx1", "", ErrNoHealthyCopy}, {"fine", "mbx1", "mbx2", nil},
		{"stuck", "mbx1", "", ErrNoHealthyCopy},
		{"unwanted", "mbx1", "", ErrBlocked},
	}
	var ended []string
	compareMoves(t, tier.Evacuate(t.Context(), "mbx1",
		MoveOptions{End: func(name string) { ended = append(ended, name) }}), want)
	if len(ended) != 1 || ended[0] != "fine" {
		t.Errorf("sessions ended of %q", ended)
	}
	compareMoves(t, tier.Rebalance(t.Context(), nobody), []MoveResult{{"fine", "mbx2", "mbx1", nil}})
	compareMoves(t, tier.Rebalance(t.Context(), nobody), nil)
}

// A move to a server that does not answer takes Force; rebalance leaves such a server, for a copy that is not
// preferred too, or says why not.
func TestDeadServers(t *testing.T) {
	testkit.NoLeaks(t)
	server, err := backendtest.NewMemory(backendtest.MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tier, err := newTestTier(t.Context(), Options{Directory: knows{}, Servers: []ServerOptions{
		{Name: "dead1", Addresses: []string{"127.0.0.1:1"}}, {Name: "dead2", Addresses: []string{"127.0.0.1:1"}},
		{Name: "well", Addresses: []string{testkit.Serve(t, server)}},
	}, Databases: []DatabaseOptions{
		{Name: "db1", Copies: []string{"dead1", "dead2", "well"}},
		{Name: "db2", Copies: []string{"well", "dead1"}},
		{Name: "db3", Copies: []string{"dead1", "dead2"}},
		{Name: "db4", Copies: []string{"dead1"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	counting := MoveOptions{End: func(string) { ended++ }}
	if err := tier.Move(t.Context(), "db2", "dead1", counting); !errors.Is(err, ErrNoAnswer) || ended > 0 {
		t.Errorf("to a dead server: %v, sessions ended %d times", err, ended)
	}
	if at, _ := tier.ActiveManager().Active("db2"); at != "well" {
		t.Errorf("db2 is on %s", at)
	}
	// nothing to do takes no answer
	for _, is := range []struct{ database, server string }{{"db1", "dead1"}, {"db2", "well"}} {
		if err := tier.Move(t.Context(), is.database, is.server, counting); err != nil {
			t.Error(err)
		}
	}
	if err := tier.Move(t.Context(), "db2", "mbx9", counting); !errors.Is(err, ErrNoCopy) {
		t.Error(err)
	}
	if err := tier.Move(t.Context(), "db2", "dead1", forced); err != nil {
		t.Error(err)
	}
	results := tier.Rebalance(t.Context(), nobody)
	compareMoves(t, results, []MoveResult{
		{"db1", "dead1", "well", nil}, {"db2", "dead1", "well", nil}, {"db3", "dead1", "", ErrNoHealthyCopy},
		{"db4", "dead1", "", ErrNoHealthyCopy},
	})
	if words := results[2].Err.Error(); !strings.Contains(words, "no healthy copy (dead2): ") {
		t.Errorf("db3 stays: %s", words)
	}
}

func compareMoves(t *testing.T, got, want []MoveResult) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i, r := range got {
		if w := want[i]; r.Database != w.Database || r.From != w.From || r.To != w.To || !errors.Is(r.Err, w.Err) {
			t.Errorf("got %+v, want %+v", r, w)
		}
	}
}
