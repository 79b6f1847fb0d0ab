package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"portico/configs/store"
	"portico/protolog"
)

// maxStoredRules bounds the operators' rules of the protocol log.
const maxStoredRules = 64

// putRule stores a rule that ends after d, in the place of the one with the same filter. Was is that one, if it has
// not ended. Several writers may store rules at once.
func putRule(ctx context.Context, rules store.Set[protolog.Rule], wanted protolog.Rule, d time.Duration) (
	was *protolog.Rule, rule protolog.Rule, err error) {
	for {
		item, err := placeOf(ctx, rules, wanted.Filter)
		if err != nil {
			return nil, wanted, err
		}
		was, rule = nil, wanted
		now := wanted.Since
		if before := item.Value; item.Revision != 0 && (before.Until.IsZero() || now.Before(before.Until)) {
			was, rule.Since = &before, before.Since
		}
		rule.ID = item.Name
		if d > 0 {
			rule.Until = now.Add(d)
		}
		item.Value = rule
		if item, err = rules.Put(ctx, item); err == nil {
			err = keepFirst(ctx, rules, item)
		}
		if !errors.Is(err, store.ErrConflict) { // otherwise another writer was first
			return was, rule, err
		}
	}
}

// keepFirst removes a rule again that has just been stored if another writer has stored one with the same filter in
// another place. Then the error is ErrConflict. Of two such rules, the one with the higher revision goes: its writer
// looks after it was stored, and so sees the other. Hence one of them stays.
func keepFirst(ctx context.Context, rules store.Set[protolog.Rule], stored store.Item[protolog.Rule]) error {
	items, err := rules.List(ctx)
	if err != nil {
		return err
	}
	for _, item := range items {
		if sameRule(item, stored.Value.Filter) && item.Revision < stored.Revision {
			if err := rules.Remove(ctx, stored); err != nil {
				return err
			}
			return store.ErrConflict
		}
	}
	return nil
}

// placeOf returns an operator's rule with a filter or, if there is none, a free place for it.
func placeOf(ctx context.Context, rules store.Set[protolog.Rule], f protolog.Filter) (item store.Item[protolog.Rule],
	err error) {
	items, err := rules.List(ctx)
	if err != nil {
		return item, err
	}
	taken := make(map[string]bool)
	for _, item := range items {
		if sameRule(item, f) {
			return item, nil
		}
		taken[item.Name] = true
	}
	for n := 1; n <= maxStoredRules; n++ {
		if name := ruleName(n); !taken[name] {
			return store.Item[protolog.Rule]{Name: name}, nil
		}
	}
	return item, fmt.Errorf("cannot add a rule to the %d rules: %w", maxStoredRules, protolog.ErrTooMany)
}

// sameRule says whether an entry is an operator's rule with a filter.
func sameRule(item store.Item[protolog.Rule], f protolog.Filter) bool {
	return item.Err == nil && item.Value.Filter == f && isRuleName(item.Name)
}

// ruleName is the name of an operator's rule, from 1 to maxStoredRules. Recovery gives its own rules other names.
func ruleName(n int) string { return "r" + strconv.Itoa(n) }

// isRuleName says whether an operator's rule may have that name.
func isRuleName(id string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "r"))
	return err == nil && n >= 1 && n <= maxStoredRules && id == ruleName(n)
}
