package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// gone is a store that can be away for those who change it.
type gone struct {
	store.Store
	away atomic.Bool
}

func (g *gone) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if g.away.Load() {
		return 0, store.ErrAway
	}
	return g.Store.CompareAndSet(ctx, key, revision, value)
}

// Nodes know the parts in which another one differs: also when the store was away meanwhile, and when an entry was
// removed with its node, which is back.
func TestParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &gone{Store: store.Memory()}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer s.Close()
		defer running.Wait()
		defer cancel()
		start := func(node string, own map[string]string) *Parts {
			p, err := NewParts(ctx, s, node, own, func(err error) { t.Error(err) })
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() { p.Run(ctx) })
			return p
		}
		s.away.Store(true)
		a := start("mx1", map[string]string{"databases": "1", "routing": "1"})
		b := start("mx2", map[string]string{"databases": "1", "routing": "1", "later": "1"})
		differ := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := a.Differing("mx2"); !slices.Equal(got, want) {
				t.Errorf("%s: mx1 finds %q, want %q", when, got, want)
			}
			if got := b.Differing("mx1"); !slices.Equal(got, want) {
				t.Errorf("%s: mx2 finds %q, want %q", when, got, want)
			}
		}
		differ("at a start without the store")
		b.Use(map[string]string{"databases": "2", "routing": "1"})
		s.away.Store(false)
		time.Sleep(2 * retryTime)
		differ("when the store is back", "databases")
		b.Use(map[string]string{"databases": "2", "routing": "2"})
		differ("at a reload", "databases", "routing")
		before, err := s.Get(ctx, partsKey+"mx2")
		if err == nil {
			err = s.Delete(ctx, before.Key, before.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		differ("with its entry removed", "databases", "routing")
		b.Use(map[string]string{"databases": "1", "routing": "1"})
		differ("when it is as the other")
		if got := a.Differing("mx9"); got != nil {
			t.Errorf("of a node that has told nothing: %q", got)
		}
	})
}
