package backend

import (
	"fmt"
	"slices"
	"testing"
)

func databases(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("db%d", i+1)
	}
	return names
}

func user(i int) string { return fmt.Sprintf("user%d@example.org", i) }

// TestRouterStable holds the places of some users, which must be these for ever: their mail is there.
func TestRouterStable(t *testing.T) {
	r := NewRouter(databases(5))
	for user, want := range map[string]string{
		"alice@example.org": "db2", "bob@example.org": "db3", "carol@example.org": "db1", "jörg@example.org": "db4",
		"root": "db2",
	} {
		if got := r.Database(user); got != want {
			t.Errorf("%s is in %s, was in %s", user, got, want)
		}
	}
}

func TestRouterSingle(t *testing.T) {
	r := NewRouter([]string{"only"})
	for i := range 10 {
		if got := r.Database(user(i)); got != "only" {
			t.Errorf("got %q", got)
		}
	}
}

func TestRouterIgnoresOrder(t *testing.T) {
	names := databases(7)
	forward := NewRouter(names)
	slices.Reverse(names)
	backward := NewRouter(names)
	for i := range 1000 {
		if a, b := forward.Database(user(i)), backward.Database(user(i)); a != b {
			t.Fatalf("%s is in %s or %s", user(i), a, b)
		}
	}
}

// TestRouterSpread wants each database within a tenth of its share, some five standard deviations.
func TestRouterSpread(t *testing.T) {
	const users = 50_000
	for _, n := range []int{2, 5, 16} {
		r, count := NewRouter(databases(n)), make(map[string]int)
		for i := range users {
			count[r.Database(user(i))]++
		}
		for name, got := range count {
			if share := users / n; got < share*9/10 || got > share*11/10 {
				t.Errorf("%s of %d has %d users, want about %d", name, n, got, share)
			}
		}
		if len(count) != n {
			t.Errorf("%d of %d databases are used", len(count), n)
		}
	}
}

// TestRouterMoves adds a database: only users who go there move, and about as many as it should have.
func TestRouterMoves(t *testing.T) {
	const users = 20_000
	before, after := NewRouter(databases(9)), NewRouter(databases(10))
	moved := 0
	for i := range users {
		from, to := before.Database(user(i)), after.Database(user(i))
		if from == to {
			continue
		}
		if to != "db10" {
			t.Fatalf("%s moved from %s to %s", user(i), from, to)
		}
		moved++
	}
	if share := users / 10; moved < share*9/10 || moved > share*11/10 {
		t.Errorf("%d users moved, want about %d", moved, share)
	}
}

func BenchmarkRouter200(b *testing.B) {
	r := NewRouter(databases(200))
	for b.Loop() {
		r.Database("alice@example.org")
	}
}
