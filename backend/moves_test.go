package backend

import (
	"errors"
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
	tier, err := New(t.Context(), Options{Servers: servers, Routing: RoutingSingle, Directory: knows{}, Databases: []DatabaseOptions{
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
		{"alone", "mbx1", "", ErrNoHealthyCopy}, {"fine", "mbx1", "mbx2", nil}, {"stuck", "mbx1", "", ErrNoHealthyCopy},
		{"unwanted", "mbx1", "", ErrBlocked},
	}
	var ended []string
	compareMoves(t, tier.Evacuate(t.Context(), "mbx1", MoveOptions{End: func(name string) { ended = append(ended, name) }}), want)
	if len(ended) != 1 || ended[0] != "fine" {
		t.Errorf("sessions ended of %q", ended)
	}
	compareMoves(t, tier.Rebalance(t.Context(), nobody), []MoveResult{{"fine", "mbx2", "mbx1", nil}})
	compareMoves(t, tier.Rebalance(t.Context(), nobody), nil)
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
