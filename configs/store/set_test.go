package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"portico/configs/store"
)

type color struct{ Red, Green uint8 }

// A Set gives back what was put, refuses what was judged by an older state, and leaves other prefixes alone.
func TestSet(t *testing.T) {
	ctx := t.Context()
	kept := store.Memory()
	defer kept.Close()
	colors := store.SetOf[color](kept, "colors/")
	none, err := colors.Get(ctx, "a")
	if err != nil || none.Revision != 0 || none.Name != "a" {
		t.Fatalf("%+v, %v", none, err)
	}
	if err := colors.Remove(ctx, none); err != nil {
		t.Error(err)
	}
	none.Value = color{Red: 1}
	first, err := colors.Put(ctx, none)
	if err != nil || first.Revision == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := colors.Put(ctx, none); !errors.Is(err, store.ErrConflict) {
		t.Errorf("put as if it were new: %v", err)
	}
	first.Value.Green = 2
	second, err := colors.Put(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := colors.Remove(ctx, first); !errors.Is(err, store.ErrConflict) {
		t.Errorf("removed by an older state: %v", err)
	}
	if got, err := colors.Get(ctx, "a"); err != nil || got != second || got.Value != (color{1, 2}) {
		t.Errorf("%+v, %v", got, err)
	}
	for key, value := range map[string]string{"colors/b": "{", "colours": `{"Red":9}`} {
		if _, err := kept.CompareAndSet(ctx, key, 0, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := colors.List(ctx)
	if err != nil || len(all) != 2 || all[0] != second || all[1].Name != "b" || all[1].Err == nil ||
		all[1].Revision == 0 || all[1].Value != (color{}) {
		t.Errorf("%+v, %v", all, err)
	}
	if err := colors.Remove(ctx, all[1]); err != nil {
		t.Errorf("what cannot be read cannot be removed: %v", err)
	}
}

// A watch begins with what is there, and tells of changes and ends, in a batch of its own or a common one.
func TestSetWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		kept := store.Memory()
		defer kept.Close()
		numbers := store.SetOf[int](kept, "numbers/")
		one, err := numbers.Put(ctx, store.Item[int]{Name: "one", Value: 1})
		if err != nil {
			t.Fatal(err)
		}
		watch, err := numbers.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-watch; len(got) != 1 || got[0] != one {
			t.Errorf("at first: %+v", got)
		}
		if err := numbers.Remove(ctx, one); err != nil {
			t.Fatal(err)
		}
		if got := <-watch; len(got) != 1 || got[0] != (store.Item[int]{Name: "one"}) {
			t.Errorf("removed: %+v", got)
		}
		numbers.Put(ctx, store.Item[int]{Name: "two", Value: 2}) // nobody receives it
		synctest.Wait()
		cancel()
		synctest.Wait()
		for batch := range watch {
			t.Errorf("after the end: %+v", batch)
		}
	})
}

// One entry at a key.
func TestOne(t *testing.T) {
	ctx := t.Context()
	kept := store.Memory()
	defer kept.Close()
	names := store.OneOf[map[string]string](kept, "names")
	if none, err := names.Get(ctx); none.Value != nil || none.Revision != 0 || none.Err != nil || err != nil {
		t.Errorf("%+v %v", none, err)
	}
	put, err := names.Put(ctx, store.Item[map[string]string]{Value: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := names.Put(ctx, store.Item[map[string]string]{}); !errors.Is(err, store.ErrConflict) {
		t.Error(err)
	}
	if got, err := names.Get(ctx); got.Value["a"] != "b" || got.Revision != put.Revision || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := kept.CompareAndSet(ctx, "names", put.Revision, []byte("[")); err != nil {
		t.Fatal(err)
	}
	if unread, err := names.Get(ctx); unread.Err == nil || unread.Value != nil || err != nil {
		t.Errorf("what cannot be read is read: %+v, %v", unread, err)
	}
}

// A One sends its entry alone, as it changes and when it is gone.
func TestOneWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		ctx, cancel := context.WithCancel(t.Context())
		one := store.OneOf[color](kept, "color")
		changes, err := one.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.SetOf[color](kept, "colors/").Replace(ctx, "a", color{9, 9}); err != nil {
			t.Fatal(err)
		}
		put, err := one.Put(ctx, store.Item[color]{Value: color{1, 2}})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-changes; got != put {
			t.Errorf("%+v, want %+v", got, put)
		}
		if err := kept.Delete(ctx, "color", put.Revision); err != nil {
			t.Fatal(err)
		}
		if got := <-changes; got.Revision != 0 {
			t.Errorf("after its end: %+v", got)
		}
		cancel()
		if got, open := <-changes; open {
			t.Errorf("after the watch's end: %+v", got)
		}
	})
}

// Replace and Drop do not mind what is there.
func TestSetWhateverIsThere(t *testing.T) {
	ctx := t.Context()
	kept := store.Memory()
	defer kept.Close()
	numbers := store.SetOf[int](kept, "numbers/")
	for _, n := range []int{1, 2} {
		if err := numbers.Replace(ctx, "one", n); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := numbers.Get(ctx, "one"); got.Value != 2 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for range 2 {
		if err := numbers.Drop(ctx, "one"); err != nil {
			t.Error(err)
		}
	}
	if left, err := numbers.List(ctx); len(left) != 0 || err != nil {
		t.Errorf("%+v, %v", left, err)
	}
}
