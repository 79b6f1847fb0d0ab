package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"portico/configs/store"
)

func mirror(t *testing.T, s store.Store, o store.MirrorOptions) *store.Mirror[int] {
	t.Helper()
	m, err := store.NewMirror(t.Context(), store.SetOf[int](s, "n/"), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func shown(m *store.Mirror[int]) string {
	var all []string
	for _, item := range m.All() {
		all = append(all, fmt.Sprintf("%s=%d", item.Name, item.Value))
	}
	return strings.Join(all, " ")
}

// A Mirror shows what anybody stores, and tells of each change once, of its own before the call returns.
func TestMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		ctx := t.Context()
		changes := 0
		var failed []error
		m := mirror(t, kept, store.MirrorOptions{Changed: func() { changes++ },
			Failed: func(err error) { failed = append(failed, err) }})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			m.Run(ctx)
		}()
		want := func(text string, n int) {
			t.Helper()
			if got := shown(m); got != text || changes != n {
				t.Errorf("it shows %q after %d changes, want %q after %d", got, changes, text, n)
			}
		}
		synctest.Wait()
		want("", 0)
		a, err := m.Put(ctx, store.Item[int]{Name: "a", Value: 1})
		if err != nil {
			t.Fatal(err)
		}
		want("a=1", 1)
		synctest.Wait()
		want("a=1", 1)
		other := store.SetOf[int](kept, "n/")
		if _, err := other.Put(ctx, store.Item[int]{Name: "b", Value: 2}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want("a=1 b=2", 2)
		a.Value = 3
		if _, err := other.Put(ctx, a); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Put(ctx, a); !errors.Is(err, store.ErrConflict) {
			t.Errorf("put over what another has put: %v", err)
		}
		synctest.Wait()
		want("a=3 b=2", 3)
		b, err := m.Get(ctx, "b")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Remove(ctx, b); err != nil {
			t.Error(err)
		}
		want("a=3", 4)
		if _, err := kept.CompareAndSet(ctx, "n/c", 0, []byte("{")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want("a=3", 5)
		if c, err := m.Get(ctx, "c"); len(failed) != 1 || err != nil || c.Err == nil {
			t.Errorf("an entry that cannot be read is %+v, %v; told was %v", c, err, failed)
		}
		kept.Close()
		<-ended
		want("a=3", 5)
		m.Tell()
		want("a=3", 6)
		m.Run(ctx)
		if len(failed) != 2 || !errors.Is(failed[1], store.ErrClosed) {
			t.Errorf("a store that cannot be followed: told was %v", failed)
		}
	})
}

// broken is a store that cannot be read, once it is broken.
type broken struct {
	store.Store
	is *bool
}

func (b broken) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	if *b.is {
		return nil, errors.New("no connection")
	}
	return b.Store.List(ctx, prefix)
}

func (b broken) Get(ctx context.Context, key string) (store.Entry, error) {
	if *b.is {
		return store.Entry{}, errors.New("no connection")
	}
	return b.Store.Get(ctx, key)
}

// If the store cannot be read, what is in memory stays, and the next change shows all of it.
func TestMirrorOfBrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		is := false
		var failed []string
		m := mirror(t, broken{kept, &is}, store.MirrorOptions{
			Failed: func(err error) { failed = append(failed, err.Error()) }})
		go m.Run(t.Context())
		synctest.Wait()
		other := store.SetOf[int](kept, "n/")
		put := func(name string) {
			t.Helper()
			if _, err := other.Put(t.Context(), store.Item[int]{Name: name}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		put("a")
		is = true
		put("b")
		if got := shown(m); got != "a=0" || !slices.Equal(failed, []string{"no connection"}) {
			t.Errorf("it shows %q, told was %q", got, failed)
		}
		is = false
		put("c")
		if got := shown(m); got != "a=0 b=0 c=0" {
			t.Errorf("it shows %q", got)
		}
		is = true
		if _, err := store.NewMirror(t.Context(), store.SetOf[int](broken{kept, &is}, "n/"),
			store.MirrorOptions{}); err == nil {
			t.Error("a Mirror begins without the entries")
		}
	})
}

// An entry that becomes unreadable keeps its value in memory until somebody stores another or removes it.
func TestMirrorKeepsWhatItHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		failed := 0
		m := mirror(t, kept, store.MirrorOptions{Failed: func(error) { failed++ }})
		go m.Run(t.Context())
		item, err := m.Put(t.Context(), store.Item[int]{Name: "a", Value: 1})
		if err != nil {
			t.Fatal(err)
		}
		revision, err := kept.CompareAndSet(t.Context(), "n/a", item.Revision, []byte("{"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := kept.CompareAndSet(t.Context(), "n/b", 0, []byte("2")); err != nil { // it is read once more
			t.Fatal(err)
		}
		synctest.Wait()
		if got := shown(m); got != "a=1 b=2" || failed != 1 {
			t.Errorf("it shows %q, and has failed %d times", got, failed)
		}
		if err := kept.Delete(t.Context(), "n/a", revision); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := shown(m); got != "b=2" {
			t.Errorf("it shows %q", got)
		}
	})
}

// listed counts how often all entries are read.
type listed struct {
	store.Store
	times *int
}

func (l listed) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	*l.times++
	return l.Store.List(ctx, prefix)
}

// A change of one entry reads that entry alone, and tells its name, whoever has made the change.
func TestMirrorTellsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		var told []string
		times := 0
		m := mirror(t, listed{kept, &times}, store.MirrorOptions{
			Names: func(names []string) { told = append(told, names...) }})
		go m.Run(t.Context())
		synctest.Wait()
		before := times
		other := store.SetOf[int](kept, "n/")
		for _, name := range []string{"a", "b", "a"} {
			if err := other.Replace(t.Context(), name, len(told)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		item, err := m.Put(t.Context(), store.Item[int]{Name: "c"})
		if err == nil {
			err = m.Remove(t.Context(), item)
		}
		if err == nil {
			err = other.Drop(t.Context(), "a")
		}
		synctest.Wait()
		if got := strings.Join(told, " "); err != nil || got != "a b a c c a" || shown(m) != "b=1" || times > before {
			t.Errorf("told was %q, it shows %q, all were read %d times, %v", got, shown(m), times-before, err)
		}
		for _, name := range []string{"b", "d"} {
			if _, err := m.Put(t.Context(), store.Item[int]{Name: name, Revision: m.Item(name).Revision}); err != nil {
				t.Fatal(err)
			}
		}
		if m.Len() != 2 || shown(m) != "b=0 d=0" {
			t.Errorf("it shows %q", shown(m))
		}
	})
}

// Whoever is told that an entry cannot be read may look at the entries, and decides by what Refresh has just read.
func TestMirrorTellsWithoutLocks(t *testing.T) {
	kept := store.Memory()
	defer kept.Close()
	var m *store.Mirror[int]
	seen := ""
	m = mirror(t, kept, store.MirrorOptions{Failed: func(error) {
		seen = shown(m)
		if _, err := m.Put(t.Context(), store.Item[int]{Name: "c", Value: 3}); err != nil {
			t.Error(err)
		}
	}})
	for key, value := range map[string]string{"n/a": "1", "n/b": "{"} {
		if _, err := kept.CompareAndSet(t.Context(), key, 0, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Refresh(t.Context()); err != nil || seen != "a=1" || shown(m) != "a=1 c=3" {
		t.Errorf("seen was %q, now it shows %q: %v", seen, shown(m), err)
	}
	if a, none := m.Item("a"), m.Item("x"); a.Value != 1 || a.Revision == 0 || none.Revision != 0 || none.Name != "x" {
		t.Errorf("a is %+v, x is %+v", a, none)
	}
}

// A Mirror reads the value of an entry once, not again after each change of another one.
func TestMirrorReadsWhatChanged(t *testing.T) {
	kept, read := store.Memory(), 0
	set := store.TextSetOf(kept, "n/", strconv.Itoa, func(text string) (int, error) {
		read++
		return strconv.Atoi(text)
	})
	for i := range 100 {
		if err := set.Replace(t.Context(), strconv.Itoa(i), i); err != nil {
			t.Fatal(err)
		}
	}
	m, err := store.NewMirror(t.Context(), set, store.MirrorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Replace(t.Context(), "7", 700); err != nil {
		t.Fatal(err)
	}
	read = 0
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if read != 1 || m.Item("7").Value != 700 || m.Len() != 100 {
		t.Errorf("one of 100 entries has changed: %d values read, %d entries, the changed one is %d", read, m.Len(),
			m.Item("7").Value)
	}
}
