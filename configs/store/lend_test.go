package store

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// lend lends the folder of a store, and opens it as the other process does.
func lend(t *testing.T, f *File) *File {
	t.Helper()
	lock, err := unix.FcntlInt(f.Lend().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenLocked(f.dir, os.NewFile(uintptr(lock), "lock"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func openFile(t *testing.T, dir string) *File {
	t.Helper()
	f, err := Open(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// expectLocked expects that no further process can open a folder.
func expectLocked(t *testing.T, dir string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { // Open waits a while
		if _, err := Open(dir, time.Now()); !errors.Is(err, ErrLocked) {
			t.Errorf("a third process: %v", err)
		}
	})
}

// A folder is lent, used, and taken back: what the other process did is seen like changes made here, and changes that
// waited are compared with it.
func TestTakeBack(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	kept, changed, gone := set(t, f, "kept", 0, "1"), set(t, f, "changed", 0, "1"), set(t, f, "gone", 0, "1")
	watch, err := f.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	<-watch
	other := lend(t, f)
	set(t, other, "changed", changed, "2")
	if err := other.Delete(t.Context(), "gone", gone); err != nil {
		t.Fatal(err)
	}
	set(t, other, "new", 0, "2")
	waits := make(chan error, 1)
	go func() {
		_, err := f.CompareAndSet(context.Background(), "changed", changed, []byte("mine"))
		waits <- err
	}()
	if e, err := f.Get(t.Context(), "changed"); err != nil || string(e.Value) != "1" {
		t.Errorf("while lent: %q, %v", e.Value, err)
	}
	if err := errors.Join(f.Check(), f.TryWrite()); err != nil {
		t.Errorf("while lent: %v", err)
	}
	other.Close()
	if err := f.TakeBack(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, ErrConflict) {
		t.Errorf("a change of what the other has changed: %v", err)
	}
	want := map[string]string{"changed": "2", "gone": "deleted", "new": "2"}
	for len(want) > 0 {
		for _, c := range <-watch {
			value := string(c.Value)
			if c.Deleted {
				value = "deleted"
			}
			if want[c.Key] != value {
				t.Errorf("saw %s become %q, want %q", c.Key, value, want[c.Key])
			}
			delete(want, c.Key)
		}
	}
	set(t, f, "kept", kept, "2")
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	expectLocked(t, dir)
}

// The other process may have been killed between its two writes, or the folder may be another one.
func TestTakeBackFromAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	set(t, f, "a", 0, "1")
	before, err := os.ReadFile(dir + "/" + IdentityName)
	if err != nil {
		t.Fatal(err)
	}
	other := lend(t, f)
	set(t, other, "b", 0, "2")
	other.Close()
	if err := os.WriteFile(dir+"/"+IdentityName, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.TakeBack(); err != nil {
		t.Fatal(err)
	}
	if e, err := f.Get(t.Context(), "b"); err != nil || string(e.Value) != "2" {
		t.Errorf("%q, %v", e.Value, err)
	}
	set(t, f, "c", 0, "3")
	if err := f.Check(); err != nil {
		t.Error(err)
	}

	f.Lend()
	stranger := t.TempDir()
	set(t, openFile(t, stranger), "x", 0, "1")
	for _, name := range []string{FileName, IdentityName} {
		if err := os.Rename(stranger+"/"+name, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	var damage *Damage
	if err := f.TakeBack(); !errors.As(err, &damage) {
		t.Errorf("another store: %v", err)
	}
}

// What waits for a lent folder ends with an error when this process gives it up, and the folder stays locked by the
// other.
func TestCloseWhileLent(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	other := lend(t, f)
	defer other.Close()
	waits := make(chan error, 1)
	go func() {
		_, err := f.CompareAndSet(context.Background(), "a", 0, []byte("1"))
		waits <- err
	}()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waits; !errors.Is(err, ErrClosed) {
		t.Errorf("a change that waited: %v", err)
	}
	set(t, other, "a", 0, "2")
	expectLocked(t, dir)
}
