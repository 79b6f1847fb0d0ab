package etcdstore

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/configs/store"
)

// keeps opens a store that keeps what it knows in a file. failed counts what it tells.
func keeps(t *testing.T, endpoints []string, file string) (s *Store, failed *atomic.Int32) {
	t.Helper()
	failed = new(atomic.Int32)
	s, err := Open(t.Context(), Options{Endpoints: endpoints, Prefix: "/portico", Timeout: 5 * time.Second, File: file,
		User: "portico", Password: "secret", // is checked first, by an etcd that wants it
		Passing: []string{"present/"}, Failed: func(err error) { t.Log(err); failed.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, failed
}

// A start while etcd is away has what the process before knew, and follows etcd once it is there.
func TestStartsWhileAway(t *testing.T) {
	testkit.NoLeaks(t)
	members, endpoints := startEtcd(t, 1)
	file := filepath.Join(t.TempDir(), "site")
	s, failed := keeps(t, endpoints, file)
	a, b := set(t, s, "a", 0, "1\n\x00"), set(t, s, "b", 0, "1")
	set(t, s, "present/mx1", 0, "")
	wantErr(t, s.Delete(t.Context(), "b", b), nil)
	wantErr(t, s.Close(), nil)
	wantErr(t, members[0].Stop(), nil)
	s, _ = keeps(t, endpoints, file)
	if e, err := s.Get(t.Context(), "a"); err != nil || e.Revision != a || string(e.Value) != "1\n\x00" {
		t.Errorf("%+v, %v", e, err)
	}
	if all, err := s.List(t.Context(), ""); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	wantErr(t, s.State().Err, store.ErrAway)
	_, err := s.CompareAndSet(t.Context(), "a", a, nil)
	wantErr(t, err, store.ErrAway)
	wantErr(t, members[0].Start(t.Context()), nil)
	testkit.Eventually(t, "it follows", func() bool { return has(s, "present/mx1", "") && s.State().Err == nil })
	set(t, s, "a", a, "2")
	if known, err := store.ReadKnown(file); err != nil || len(known.Entries) != 1 || failed.Load() > 0 ||
		string(known.Entries[0].Value) != "2" {
		t.Errorf("%+v, %v", known, err)
	}
}

// A process that keeps more than the one before, since it is of another version, finds in etcd what the file lacks.
func TestKeepsMore(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	file := filepath.Join(t.TempDir(), "site")
	s, _ := keeps(t, endpoints, file)
	set(t, s, "present/mx1", 0, "")
	set(t, s, "a", 0, "1")
	wantErr(t, s.Close(), nil)
	next, err := Open(t.Context(), Options{Endpoints: endpoints, Prefix: "/portico", File: file})
	wantErr(t, err, nil)
	wantErr(t, next.Close(), nil)
	if known, err := store.ReadKnown(file); err != nil || len(known.Entries) != 2 {
		t.Errorf("%+v, %v", known, err)
	}
}

// What a process is about to store stays in the file, whatever etcd says.
func TestKeepAs(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	file := filepath.Join(t.TempDir(), "site")
	s, failed := keeps(t, endpoints, file)
	a := set(t, s, "a", 0, "1")
	wantErr(t, s.KeepAs("a", []byte("9")), nil)
	for n := range 2 {
		known, err := store.ReadKnown(file)
		if err != nil || len(known.Entries) != 1+n || string(known.Entries[0].Value) != "9" || failed.Load() > 0 {
			t.Errorf("%+v, %v", known, err)
		}
		if n == 0 {
			set(t, s, "a", a, "2")
			set(t, s, "b", 0, "1")
		}
	}
}

// Another etcd than the one that the process before knew is noticed at the start, and a damaged file is not used.
func TestKnownOfAnother(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	file := filepath.Join(t.TempDir(), "site")
	open := func() error {
		s, err := Open(t.Context(), Options{Endpoints: endpoints, Prefix: "/portico", File: file})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	for identity, want := range map[string]error{"etcd-0000000000000001": ErrRestored, "other": nil} {
		if _, err := store.WriteKnown(file, store.Known{Identity: identity, Revision: 1}); err != nil {
			t.Fatal(err)
		}
		wantErr(t, open(), want)
	}
	known, err := store.ReadKnown(file)
	wantErr(t, err, nil)
	known.Revision = 1 << 40
	_, err = store.WriteKnown(file, known)
	wantErr(t, errors.Join(err, open()), ErrRestored)
	wantErr(t, os.WriteFile(file, []byte("portico"), 0o600), nil)
	wantErr(t, open(), nil)
}

// If the file cannot be written, there is none, so a start does without it; if it cannot be removed either, nothing is
// taken in.
func TestNotKept(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	folder := filepath.Join(t.TempDir(), "data")
	wantErr(t, os.Mkdir(folder, 0o700), nil)
	file := filepath.Join(folder, "site")
	s, failed := keeps(t, endpoints, file)
	a := set(t, s, "a", 0, "1")
	wantErr(t, os.Remove(file), nil)
	wantErr(t, os.MkdirAll(filepath.Join(file, "full"), 0o700), nil)
	_, err := s.CompareAndSet(t.Context(), "a", a, []byte("2"))
	wantErr(t, err, store.ErrAway)
	testkit.Eventually(t, "it is said", func() bool { return s.State().Err != nil })
	if !has(s, "a", "1") || failed.Load() > 0 {
		t.Error("it was taken in")
	}
	wantErr(t, os.RemoveAll(folder), nil)
	testkit.Eventually(t, "it is taken in", func() bool { return has(s, "a", "2") })
	testkit.Eventually(t, "it is told", func() bool { return failed.Load() > 0 })
}

// What is lent to another process is left alone: nothing is taken in, and changes wait.
func TestLent(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	file := filepath.Join(t.TempDir(), "site")
	s, _ := keeps(t, endpoints, file)
	a := set(t, s, "a", 0, "1")
	s.Lend()
	next, _ := keeps(t, endpoints, file)
	set(t, next, "a", a, "2")
	written := make(chan error, 1)
	go func() {
		_, err := s.CompareAndSet(t.Context(), "b", 0, nil)
		written <- err
	}()
	set(t, next, "c", 0, "")
	if !has(s, "a", "1") || len(written) > 0 {
		t.Error("it is not left alone")
	}
	wantErr(t, next.Close(), nil)
	s.TakeBack()
	wantErr(t, <-written, nil)
	if known, err := store.ReadKnown(file); err != nil || len(known.Entries) != 3 || !has(s, "a", "2") {
		t.Errorf("%+v, %v", known, err)
	}
	s.Lend()
	wantErr(t, s.Close(), nil)
}
