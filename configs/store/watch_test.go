package store

import (
	"context"
	"fmt"
	"reflect"
	"testing"
)

func TestWatch(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		a := set(t, s, "p/a", 0, "1")
		set(t, s, "q/a", 0, "1")
		changes, err := s.Watch(t.Context(), "p/")
		wantErr(t, err, nil)
		wantBatch(t, changes, Change{Entry: Entry{"p/a", []byte("1"), a}})

		set(t, s, "q/b", 0, "not watched")
		b := set(t, s, "p/b", 0, "2")
		wantBatch(t, changes, Change{Entry: Entry{"p/b", []byte("2"), b}})
		wantErr(t, s.Delete(t.Context(), "p/a", a), nil)
		wantBatch(t, changes, Change{Entry: Entry{Key: "p/a", Revision: b + 1}, Deleted: true})
	})
}

func TestWatchNothing(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		changes, err := s.Watch(t.Context(), "none/")
		wantErr(t, err, nil)
		wantBatch(t, changes)
	})
}

// TestSlowWatcher: writers go on while nobody receives, and then the receiver
// gets each key once, as it is now.
func TestSlowWatcher(t *testing.T) {
	s := Memory()
	defer s.Close()
	changes, err := s.Watch(t.Context(), "")
	wantErr(t, err, nil)
	<-changes

	var a, b uint64
	for i := range 1000 {
		a = set(t, s, "a", a, fmt.Sprint(i))
		b = set(t, s, "b", b, fmt.Sprint(i))
	}
	latest := map[string]string{}
	deliveries := 0
	for latest["a"] != "999" || latest["b"] != "999" {
		for _, c := range <-changes {
			latest[c.Key] = string(c.Value)
			deliveries++
		}
	}
	if deliveries > 10 {
		t.Errorf("%d changes delivered for two keys: nothing was left out", deliveries)
	}
}

// TestWatchSeesEveryEnd: concurrent writers and watchers, and at the end every
// watcher knows the last state of every key.
func TestWatchSeesEveryEnd(t *testing.T) {
	s := Memory()
	defer s.Close()
	const keys, rounds = 4, 200
	results := make(chan map[string]string)
	for range 3 {
		changes, err := s.Watch(t.Context(), "k")
		wantErr(t, err, nil)
		go func() { results <- follow(changes, keys, fmt.Sprint(rounds-1)) }()
	}
	for k := range keys {
		go func() {
			var r uint64
			for i := range rounds {
				r, _ = s.CompareAndSet(t.Context(), fmt.Sprint("k", k), r, fmt.Append(nil, i))
			}
		}()
	}
	for range 3 {
		if got := <-results; len(got) != keys {
			t.Errorf("a watcher ended with %v", got)
		}
	}
}

// follow applies changes until all keys have the last value.
func follow(changes <-chan []Change, keys int, last string) map[string]string {
	state := map[string]string{}
	for batch := range changes {
		done := 0
		for _, c := range batch {
			state[c.Key] = string(c.Value)
		}
		for _, value := range state {
			if value == last {
				done++
			}
		}
		if done == keys {
			break
		}
	}
	return state
}

func TestWatchEndsWithItsContext(t *testing.T) {
	s := Memory().(*memory)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := s.Watch(ctx, "")
	wantErr(t, err, nil)
	cancel()
	for range changes { // ends
	}
	s.watching.Wait() // no goroutine is left
	if len(s.watchers) != 0 {
		t.Errorf("%d watchers are left", len(s.watchers))
	}
}

func wantBatch(t *testing.T, changes <-chan []Change, want ...Change) {
	t.Helper()
	got := <-changes
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("batch is %v, want %v", got, want)
	}
}

// Only the first batch may be empty: a later one means that something has changed, and whoever follows reads it.
func TestNoEmptyBatches(t *testing.T) {
	s := Memory()
	defer s.Close()
	batches, err := s.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	<-batches
	const changes = 5000
	go func() {
		for i := range changes {
			s.CompareAndSet(t.Context(), fmt.Sprint(i), 0, nil)
		}
	}()
	for seen := 0; seen < changes; {
		batch := <-batches
		if seen += len(batch); len(batch) == 0 {
			t.Fatalf("an empty batch after %d changes", seen)
		}
	}
}
