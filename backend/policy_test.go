package backend

import (
	"slices"
	"testing"

	"portico/configs/store"
)

// A block keeps who asked for it, over a restart and while others are lifted. The first one who asked is kept.
func TestBlockersAreKept(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m := manager(t, s)
	ann, bob := Blocker{By: ByOperator, Who: "user ann=b c%"}, Blocker{By: "maintenance", Who: "token ops.token"}
	for _, b := range []Blocker{ann, {By: ByOperator, Who: "user eve"}, bob, {By: "health"}} {
		if err := m.BlockAs(t.Context(), "mbx1", b); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...Blocker) {
		t.Helper()
		for _, now := range []*ActiveManager{m, manager(t, s)} {
			if got := now.Blockers("mbx1"); !slices.Equal(got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
	check(ann, bob, Blocker{By: "health"})
	if err := m.Unblock(t.Context(), "mbx1", ByOperator); err != nil {
		t.Fatal(err)
	}
	check(bob, Blocker{By: "health"})
}
