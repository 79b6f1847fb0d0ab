package move

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// slowStore takes a second for each write that depends on a registration, and counts them.
type slowStore struct {
	store.Store
	writes int
}

func (s *slowStore) While(key string, revision uint64) store.Writer {
	return slowWriter{s.Store.While(key, revision), s}
}

type slowWriter struct {
	store.Writer
	s *slowStore
}

func (w slowWriter) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	w.s.writes++
	time.Sleep(time.Second)
	return w.Writer.CompareAndSet(ctx, key, revision, value)
}

// What is to be acknowledged while a member writes goes with its next write, all at once.
func TestAcknowledgesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: store.Memory()}
		defer s.Close()
		m := NewMembers(s, joined(t, s, "mx1", nil))
		var work sync.WaitGroup
		for i := range 50 {
			work.Go(func() {
				if _, err := m.acknowledge(t.Context(), fmt.Sprint("active/db", i), uint64(i+1)); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		item, err := acksOf(s).Get(t.Context(), "mx1")
		if err != nil || len(item.Value.Closed) != 50 || s.writes > 2 {
			t.Errorf("%d writes: %+v, %v", s.writes, item.Value, err)
		}
	})
}
