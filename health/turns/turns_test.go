package turns

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever waits gets the turn of the answer that has been sent longest, once that has had its grace. Answers that are
// being made keep theirs.
func TestOldestGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, cut := New(3), make(chan string, 3)
		send := func(name string, turn *Turn) {
			ended := make(chan struct{})
			turn.Sending(func() { close(ended) })
			go func() {
				<-ended
				cut <- name
				turn.Done()
			}()
		}
		making := all.Take(t.Context())
		send("first", all.Take(t.Context()))
		time.Sleep(Grace / 2)
		send("second", all.Take(t.Context()))
		for _, want := range []struct {
			after time.Duration
			name  string
		}{{Grace / 2, "first"}, {Grace / 2, "second"}} {
			began := time.Now()
			taken := all.Take(t.Context())
			if took := time.Since(began); took != want.after {
				t.Errorf("waited %v, want %v", took, want.after)
			}
			if got := <-cut; got != want.name {
				t.Errorf("%s was cut, want %s", got, want.name)
			}
			defer taken.Done()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if all.Take(ctx) != nil {
			t.Error("more turns than there are")
		}
		making.Done()
		if last := all.Take(t.Context()); last == nil {
			t.Error("no turn though one is free")
		} else {
			last.Done()
		}
	})
}

// An answer that is sent in time is not cut, also if others wait later.
func TestSentInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := New(1)
		turn := all.Take(t.Context())
		turn.Sending(func() { t.Error("cut") })
		time.AfterFunc(Grace/2, turn.Done)
		if next := all.Take(t.Context()); next == nil {
			t.Error("no turn")
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*Grace)
		defer cancel()
		all.Take(ctx)
	})
}
