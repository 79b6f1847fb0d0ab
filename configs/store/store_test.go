package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// each runs a test on both kinds of store.
func each(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("memory", func(t *testing.T) {
		s := Memory()
		defer s.Close()
		test(t, s)
	})
	t.Run("file", func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.Close()
		test(t, s)
	})
}

// noon is a moment of the tests.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *File {
	t.Helper()
	s, err := Open(dir, noon)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func set(t *testing.T, s Store, key string, revision uint64, value string) uint64 {
	t.Helper()
	r, err := s.CompareAndSet(t.Context(), key, revision, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantEntry(t *testing.T, s Store, key string, revision uint64, value string) {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if e.Key != key || string(e.Value) != value || e.Revision != revision {
		t.Errorf("entry is %q %q at %d, want %q %q at %d", e.Key, e.Value, e.Revision, key, value, revision)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func TestCompareAndSet(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		_, err := s.Get(ctx, "a")
		wantErr(t, err, ErrNotFound)
		_, err = s.CompareAndSet(ctx, "a", 1, []byte("x"))
		wantErr(t, err, ErrConflict)

		first := set(t, s, "a", 0, "one")
		wantEntry(t, s, "a", first, "one")
		_, err = s.CompareAndSet(ctx, "a", 0, []byte("x"))
		wantErr(t, err, ErrConflict)
		second := set(t, s, "a", first, "two")
		_, err = s.CompareAndSet(ctx, "a", first, []byte("x"))
		wantErr(t, err, ErrConflict)
		wantEntry(t, s, "a", second, "two")

		wantErr(t, s.Delete(ctx, "a", first), ErrConflict)
		wantErr(t, s.Delete(ctx, "b", 0), ErrConflict)
		wantErr(t, s.Delete(ctx, "a", second), nil)
		_, err = s.Get(ctx, "a")
		wantErr(t, err, ErrNotFound)
		if third := set(t, s, "a", 0, "three"); third <= second {
			t.Errorf("revision %d comes after %d", third, second)
		}
	})
}

func TestWhile(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		first := set(t, s, "a", 0, "one")
		_, err := s.While("a", first).CompareAndSet(ctx, "b", 0, []byte("x"))
		wantErr(t, err, nil)
		second := set(t, s, "a", first, "two")
		_, err = s.While("a", first).CompareAndSet(ctx, "c", 0, nil)
		wantErr(t, err, ErrLost)
		b, err := s.Get(ctx, "b")
		wantErr(t, err, nil)
		wantErr(t, s.While("a", first).Delete(ctx, "b", b.Revision), ErrLost)
		wantErr(t, s.While("a", second).Delete(ctx, "b", 0), ErrConflict)
		wantErr(t, s.While("a", second).Delete(ctx, "b", b.Revision), nil)
		_, err = s.While("none", 0).CompareAndSet(ctx, "c", 0, nil)
		wantErr(t, err, nil)
	})
}

func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		for _, key := range []string{"", strings.Repeat("k", MaxKey+1)} {
			_, err := s.CompareAndSet(t.Context(), key, 0, nil)
			wantErr(t, err, ErrInvalid)
		}
		_, err := s.CompareAndSet(t.Context(), "a", 0, make([]byte, MaxValue+1))
		wantErr(t, err, ErrInvalid)
		r := set(t, s, strings.Repeat("k", MaxKey), 0, "")
		wantEntry(t, s, strings.Repeat("k", MaxKey), r, "")
	})
}

func TestListIsSortedAndCopied(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		for _, key := range []string{"active/db2", "block/mbx1", "active/db1", "activex"} {
			set(t, s, key, 0, key)
		}
		found, err := s.List(t.Context(), "active/")
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 2 || found[0].Key != "active/db1" || found[1].Key != "active/db2" {
			t.Fatalf("found %v", found)
		}
		found[0].Value[0] = 'X'
		wantEntry(t, s, "active/db1", 3, "active/db1")
	})
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		changes, err := s.Watch(ctx, "")
		wantErr(t, err, nil)
		wantErr(t, s.Close(), nil)
		for range changes { // ends
		}
		wantErr(t, s.Close(), ErrClosed)
		_, err = s.Get(ctx, "a")
		wantErr(t, err, ErrClosed)
		_, err = s.List(ctx, "a")
		wantErr(t, err, ErrClosed)
		_, err = s.CompareAndSet(ctx, "a", 0, nil)
		wantErr(t, err, ErrClosed)
		wantErr(t, s.Delete(ctx, "a", 1), ErrClosed)
		_, err = s.Watch(ctx, "")
		wantErr(t, err, ErrClosed)
	})
}

func TestCancelled(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.CompareAndSet(ctx, "a", 0, nil)
		wantErr(t, err, context.Canceled)
		_, err = s.Get(t.Context(), "a")
		wantErr(t, err, ErrNotFound)
	})
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	s := open(t, dir)
	a := set(t, s, "a", 0, "one")
	b := set(t, s, "b", 0, "")
	c := set(t, s, "c", 0, "gone")
	wantErr(t, s.Delete(t.Context(), "c", c), nil)
	wantErr(t, s.Close(), nil)

	s = open(t, dir)
	defer s.Close()
	wantEntry(t, s, "a", a, "one")
	wantEntry(t, s, "b", b, "")
	_, err := s.Get(t.Context(), "c")
	wantErr(t, err, ErrNotFound)
	if next := set(t, s, "c", 0, "again"); next <= c+1 {
		t.Errorf("revision %d was used before the restart", next)
	}
}

// Revisions of several digits are read as they were written: those of entries, of the store and of its copies.
func TestReopenAtALaterRevision(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for revision := range uint64(123) {
		if r := set(t, s, "a", revision, fmt.Sprint(revision+1)); r != revision+1 {
			t.Fatalf("revision %d comes behind %d", r, revision)
		}
		if r := revision + 1; r != 10 && r != 99 && r != 123 {
			continue
		}
		wantErr(t, s.Close(), nil)
		s = open(t, dir)
		wantEntry(t, s, "a", revision+1, fmt.Sprint(revision+1))
	}
	if c, err := s.Backup(noon, ByHand); err != nil || c.Revision != 123 {
		t.Errorf("the copy is %+v, %v", c, err)
	}
	if next := set(t, s, "b", 0, ""); next != 124 {
		t.Errorf("the next revision is %d, want 124", next)
	}
	wantErr(t, s.Close(), nil)
}

// Open makes the folder, and those above it, so that others cannot look in, and leaves the mode of one that exists.
func TestModesOfFolderAndFiles(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "lib", "portico")
	s := open(t, dir)
	defer s.Close()
	set(t, s, "a", 0, "one")
	if _, err := s.Backup(noon, ByHand); err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{filepath.Dir(dir), dir} {
		if mode := modeOf(t, made); mode&0o027 != 0 || mode&0o700 != 0o700 {
			t.Errorf("%s has the mode %o, want at most 750", made, mode)
		}
	}
	if mode := modeOf(t, filepath.Join(dir, BackupsName)); mode != 0o700 {
		t.Errorf("the folder of copies has the mode %o, want 700", mode)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		if mode := modeOf(t, path); mode != 0o600 {
			t.Errorf("%s has the mode %o, want 600", path, mode)
		}
		return nil
	})
	if err != nil || files != 4 { // the store, its identity, its lock and the copy
		t.Errorf("%d files, %v", files, err)
	}

	wide := filepath.Join(above, "wide")
	wantErr(t, errors.Join(os.Mkdir(wide, 0o700), os.Chmod(wide, 0o755)), nil)
	open(t, wide).Close()
	if mode := modeOf(t, wide); mode != 0o755 {
		t.Errorf("the mode of a folder that exists became %o", mode)
	}
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestFileIsPrivateAndLocked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	open(t, dir).Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %o, want 600", info.Mode().Perm())
	}

	began := time.Now()
	_, err = Open(dir, noon)
	wantErr(t, err, ErrLocked)
	if waited := time.Since(began); waited < 2*time.Second { // a process that ends frees the lock meanwhile
		t.Errorf("refused after %v", waited)
	}
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
}

// TestCounting lets several writers add to one key: no addition may be lost.
func TestCounting(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		const writers, rounds = 4, 20
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					add(t, s)
				}
			})
		}
		wg.Wait()
		wantEntry(t, s, "n", writers*rounds, fmt.Sprint(writers*rounds))
	})
}

func add(t *testing.T, s Store) {
	for {
		n := 0
		e, err := s.Get(t.Context(), "n")
		if err == nil {
			fmt.Sscan(string(e.Value), &n)
		}
		_, err = s.CompareAndSet(t.Context(), "n", e.Revision, fmt.Append(nil, n+1))
		if err == nil {
			return
		}
		if !errors.Is(err, ErrConflict) {
			t.Error(err)
			return
		}
	}
}

func TestFailedCommitChangesNothing(t *testing.T) {
	full := errors.New("disk full")
	fail := false
	s := newMemory(nil, 0, func(Change) error {
		if fail {
			return full
		}
		return nil
	}, func() error { return nil })
	defer s.Close()
	r := set(t, s, "a", 0, "one")
	changes, err := s.Watch(t.Context(), "")
	wantErr(t, err, nil)
	<-changes

	fail = true
	_, err = s.CompareAndSet(t.Context(), "a", r, []byte("two"))
	wantErr(t, err, full)
	wantEntry(t, s, "a", r, "one")
	fail = false
	r = set(t, s, "a", r, "three")
	want := []Change{{Entry: Entry{"a", []byte("three"), r}}}
	if got := <-changes; !reflect.DeepEqual(got, want) {
		t.Errorf("batch is %v, want %v", got, want)
	}
}

// A change counts once the file is in its place, though the identity cannot be written.
func TestAnIdentityThatCannotFollow(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	beside := filepath.Join(dir, IdentityName)
	if err := errors.Join(os.Rename(beside, beside+".aside"), os.Mkdir(beside, 0o700)); err != nil {
		t.Fatal(err)
	}
	revision, err := f.CompareAndSet(t.Context(), "active/db1", 0, []byte("mbx2"))
	if err != nil || revision == 0 {
		t.Fatalf("revision %d, %v", revision, err)
	}
	if err := f.Check(); err == nil {
		t.Error("nobody learns that the identity is behind")
	}
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil {
		t.Errorf("the identity has not been written when it could be: %v", err)
	}
	again, err := ReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := again.Get(t.Context(), "active/db1"); err != nil || string(e.Value) != "mbx2" {
		t.Errorf("%q, %v", e.Value, err)
	}
}
