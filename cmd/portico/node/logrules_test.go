package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"portico/configs/store"
	"portico/protolog"
)

// crossed is a store to which somebody else writes around the first value that is set.
type crossed struct {
	store.Store
	before, after func()
}

func (c *crossed) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	before, after := c.before, c.after
	c.before, c.after = func() {}, func() {}
	before()
	defer after()
	return c.Store.CompareAndSet(ctx, key, revision, value)
}

// Two writers that begin rules with one filter at once make one rule, whichever places they find free.
func TestOneRuleOfAFilter(t *testing.T) {
	memory := store.Memory()
	rules := store.SetOf[protolog.Rule](memory, "rules/")
	began := time.Now().UTC()
	begin := func(rules store.Set[protolog.Rule], user string, d time.Duration) (*protolog.Rule, string) {
		t.Helper()
		wanted := protolog.Rule{Filter: protolog.Filter{User: user}, Since: began}
		was, rule, err := putRule(t.Context(), rules, wanted, d)
		if err != nil {
			t.Fatal(err)
		}
		return was, rule.ID
	}
	end := func(name string) {
		t.Helper()
		if err := rules.Drop(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	var late store.Item[protolog.Rule] // of a writer that has not looked after it yet
	nothing := func() {}
	for name, c := range map[string]struct {
		before, after func()
		found         bool // the other writer's rule is the one
		id            string
	}{
		"in one place":     {func() { begin(rules, "ann", time.Hour) }, nothing, true, "r2"},
		"in another place": {func() { end("r1"); begin(rules, "ann", time.Hour) }, nothing, true, "r1"},
		"later in another place": {nothing, func() {
			end("r1")
			rule := protolog.Rule{ID: "r1", Filter: protolog.Filter{User: "ann"}, Since: began}
			var err error
			if late, err = rules.Put(t.Context(), store.Item[protolog.Rule]{Name: "r1", Value: rule}); err != nil {
				t.Error(err)
			}
		}, false, "r2"},
	} {
		begin(rules, "other", 0)
		late.Revision = 0
		was, id := begin(store.SetOf[protolog.Rule](&crossed{memory, c.before, c.after}, "rules/"), "ann", time.Minute)
		if (was != nil) != c.found || id != c.id {
			t.Errorf("%s: rule %s, before %v", name, id, was)
		}
		if late.Revision != 0 {
			if err := keepFirst(t.Context(), rules, late); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: the other writer keeps its rule: %v", name, err)
			}
		}
		items, err := rules.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, item := range items {
			end(item.Name)
			if item.Value.Filter.User != "ann" {
				continue
			}
			found++
			if want := began.Add(time.Minute); !item.Value.Until.Equal(want) {
				t.Errorf("%s: rule %s ends at %v, want %v", name, item.Name, item.Value.Until, want)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d rules with one filter", name, found)
		}
	}
}
