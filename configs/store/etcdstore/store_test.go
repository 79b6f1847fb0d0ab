package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/configs/store"
)

// startEtcd starts the members of an etcd. They end with the test.
func startEtcd(t *testing.T, members int) (all []*backendtest.Daemon, endpoints []string) {
	t.Helper()
	all = testkit.Etcd(t, members)
	for _, d := range all {
		endpoints = append(endpoints, "http://"+d.Address)
	}
	return all, endpoints
}

// node opens the store of another node. It is closed with the test.
func node(t *testing.T, endpoints []string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Endpoints: endpoints, Prefix: "/portico/" + t.Name(),
		Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func set(t *testing.T, s store.Store, key string, revision uint64, value string) uint64 {
	t.Helper()
	r, err := s.CompareAndSet(t.Context(), key, revision, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

// has says whether a store shows a value.
func has(s store.Store, key, value string) bool {
	e, err := s.Get(context.Background(), key)
	return err == nil && string(e.Value) == value
}

// One node's changes are another's at once, and of two that change the same entry one fails.
func TestTwoNodes(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	a, b := node(t, endpoints), node(t, endpoints)
	ctx := t.Context()
	changes, err := b.Watch(ctx, "active/")
	wantErr(t, err, nil)
	if first := <-changes; len(first) != 0 {
		t.Errorf("at first: %v", first)
	}
	first := set(t, a, "active/db1", 0, "mbx1")
	want := []store.Change{{Entry: store.Entry{Key: "active/db1", Value: []byte("mbx1"), Revision: first}}}
	if got := <-changes; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	second := set(t, b, "active/db1", first, "mbx2")
	_, err = a.CompareAndSet(ctx, "active/db1", first, []byte("mbx3"))
	wantErr(t, err, store.ErrConflict)
	wantErr(t, a.Delete(ctx, "active/db1", first), store.ErrConflict)
	wantErr(t, a.Delete(ctx, "active/db1", 0), store.ErrConflict)
	wantErr(t, a.Delete(ctx, "active/db1", second), nil)
	if _, err := a.Get(ctx, "active/db1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a node does not see its own change: %v", err)
	}
	testkit.Eventually(t, "the other node has followed", func() bool {
		found, err := b.List(ctx, "")
		return err == nil && len(found) == 0
	})
	if third := set(t, a, "active/db1", 0, "mbx1"); third <= second {
		t.Errorf("revision %d comes after %d", third, second)
	}
	for i, r := 0, uint64(0); i < 100; i++ {
		if r = set(t, a, "own", r, fmt.Sprint(i)); !has(a, "own", fmt.Sprint(i)) {
			t.Fatalf("change %d: a node does not see what it has changed", i)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", store.MaxKey+1)} {
		_, err := a.CompareAndSet(ctx, key, 0, nil)
		wantErr(t, err, store.ErrInvalid)
	}
	large := strings.Repeat("v", store.MaxValue)
	set(t, a, "large", 0, large)
	testkit.Eventually(t, "the largest value", func() bool { return has(b, "large", large) })
	wantErr(t, a.Close(), nil)
	wantErr(t, a.Close(), store.ErrClosed)
	_, err = a.CompareAndSet(ctx, "a", 0, nil)
	wantErr(t, err, store.ErrClosed)
}

// A write that depends on another entry happens only while that is as it was.
func TestWhile(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	s := node(t, endpoints)
	ctx := t.Context()
	boot := set(t, s, "nodes/mx1", 0, "boot 1")
	_, err := s.While("nodes/mx1", boot).CompareAndSet(ctx, "acks/1", 0, nil)
	wantErr(t, err, nil)
	again := set(t, s, "nodes/mx1", boot, "boot 2")
	_, err = s.While("nodes/mx1", boot).CompareAndSet(ctx, "acks/2", 0, nil)
	wantErr(t, err, store.ErrLost)
	_, err = s.While("nodes/mx1", again).CompareAndSet(ctx, "acks/1", 0, nil)
	wantErr(t, err, store.ErrConflict)
	_, err = s.While("nodes/mx2", 0).CompareAndSet(ctx, "acks/3", 0, nil)
	wantErr(t, err, nil)
}

// No addition of several nodes is lost, nor made twice, while a member of etcd dies.
func TestCounting(t *testing.T) {
	testkit.NoLeaks(t)
	members, endpoints := startEtcd(t, 3)
	const rounds = 15
	var made, unknown atomic.Int64
	var work sync.WaitGroup
	for range 3 {
		s := node(t, endpoints)
		work.Go(func() {
			for range rounds {
				add(t, s, &made, &unknown)
			}
		})
	}
	testkit.Eventually(t, "some are made", func() bool { return made.Load() > rounds })
	if err := members[0].Stop(); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	var n int64
	e, err := node(t, endpoints).Get(t.Context(), "n")
	if fmt.Sscan(string(e.Value), &n); err != nil || n < made.Load() || n > made.Load()+unknown.Load() {
		t.Errorf("counted %d, %v: %d were made, and %d of which nobody knows", n, err, made.Load(), unknown.Load())
	}
}

// add adds 1 to n.
func add(t *testing.T, s store.Store, made, unknown *atomic.Int64) {
	for {
		n := 0
		e, err := s.Get(t.Context(), "n")
		if err == nil {
			fmt.Sscan(string(e.Value), &n)
		}
		switch _, err := s.CompareAndSet(t.Context(), "n", e.Revision, fmt.Append(nil, n+1)); {
		case err == nil:
			made.Add(1)
			return
		case errors.Is(err, store.ErrAway):
			unknown.Add(1)
			return
		case !errors.Is(err, store.ErrConflict):
			t.Error(err)
			return
		}
	}
}

// Of what etcd has not finished in its own time nobody knows whether it is made. What it refuses is not made.
func TestUnfinished(t *testing.T) {
	s := &Store{opt: Options{Changed: func(State) {}}}
	for _, err := range []error{rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail,
		rpctypes.ErrTimeoutDueToConnectionLost, rpctypes.ErrLeaderChanged, rpctypes.ErrNoLeader, rpctypes.ErrStopped,
		rpctypes.ErrUnhealthy, context.DeadlineExceeded, io.ErrUnexpectedEOF} {
		if got := s.why(t.Context(), err); !errors.Is(got, store.ErrAway) {
			t.Errorf("%v: %v", err, got)
		}
	}
	for _, err := range []error{rpctypes.ErrPermissionDenied, rpctypes.ErrNoSpace, rpctypes.ErrAuthFailed} {
		if got := s.why(t.Context(), err); errors.Is(got, store.ErrAway) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// An etcd that is full can be read, and that it takes no change is noticed, until it does again.
func TestFull(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	s, other := node(t, endpoints), node(t, endpoints)
	a := set(t, s, "a", 0, "1")
	alarm := &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_ACTIVATE,
		Alarm: etcdserverpb.AlarmType_NOSPACE}
	maintenance := etcdserverpb.NewMaintenanceClient(s.client.ActiveConnection())
	_, err := maintenance.Alarm(t.Context(), alarm)
	wantErr(t, err, nil)
	_, err = s.CompareAndSet(t.Context(), "a", a, []byte("2"))
	wantErr(t, err, store.ErrFull)
	_, err = other.Hold(t.Context(), "present/mx1", 0, nil, time.Second)
	wantErr(t, err, store.ErrFull)
	for _, s := range []*Store{s, other} {
		if is := s.State(); is.Err != nil || !errors.Is(is.Full, store.ErrFull) {
			t.Errorf("%+v", is)
		}
		testkit.Eventually(t, "it is read", func() bool { return has(s, "a", "1") })
	}
	alarm.Action = etcdserverpb.AlarmRequest_DEACTIVATE
	_, err = maintenance.Alarm(t.Context(), alarm)
	wantErr(t, err, nil)
	testkit.Eventually(t, "it takes changes", func() bool { return s.State().Full == nil && other.State().Full == nil })
	set(t, s, "a", a, "2")
}

// While etcd is away, what was known last is there, and changes are refused. Then everything is followed, also what has
// changed meanwhile and what etcd no longer knows step by step.
func TestAway(t *testing.T) {
	testkit.NoLeaks(t)
	members, endpoints := startEtcd(t, 1)
	states := make(chan State, 10)
	s, err := Open(t.Context(), Options{Endpoints: endpoints, Prefix: "/portico", Timeout: 5 * time.Second,
		Changed: func(state State) { states <- state }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := set(t, s, "a", 0, "1")
	b := set(t, s, "b", 0, "1")
	if err := members[0].Freeze(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CompareAndSet(t.Context(), "a", a, []byte("2")); !errors.Is(err, store.ErrAway) {
		t.Errorf("written while etcd is away: %v", err)
	}
	if state := <-states; !errors.Is(state.Err, store.ErrAway) || !has(s, "b", "1") {
		t.Errorf("state %+v", state)
	}
	if _, err := s.CompareAndSet(t.Context(), "late", 0, []byte("1")); !errors.Is(err, store.ErrAway) {
		t.Errorf("written while etcd is known to be away: %v", err)
	}
	if err := members[0].Thaw(); err != nil {
		t.Fatal(err)
	}
	if state := <-states; state.Err != nil || s.State().Err != nil {
		t.Errorf("state %+v", state)
	}
	set(t, s, "late", 0, "2") // etcd has not made that change afterwards
	testkit.Eventually(t, "changes are possible", func() bool {
		return s.Delete(t.Context(), "b", b) == nil
	})
	if _, err := Open(t.Context(), Options{Endpoints: []string{"http://127.0.0.1:1"}, Prefix: "/p",
		Timeout: 100 * time.Millisecond}); !errors.Is(err, store.ErrAway) {
		t.Errorf("opened without etcd: %v", err)
	}
}

// What has changed while this node did not hear of it is taken in as it is, though etcd has forgotten the steps.
func TestCompacted(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	s, other := node(t, endpoints), node(t, endpoints)
	kept, gone := set(t, s, "kept", 0, "1"), set(t, s, "gone", 0, "1")
	changes, err := s.Watch(t.Context(), "")
	wantErr(t, err, nil)
	<-changes
	s.stop() // following, as if the connection were away
	s.running.Wait()
	set(t, other, "kept", kept, "2")
	set(t, other, "new", 0, "3")
	wantErr(t, other.Delete(t.Context(), "gone", gone), nil)
	if _, err := other.client.Compact(t.Context(), int64(other.upTo())); err != nil {
		t.Fatal(err)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.running.Go(func() { s.follow(s.ctx) })
	seen := map[string]string{}
	for len(seen) < 3 {
		for _, c := range <-changes {
			seen[c.Key] = string(c.Value)
			if c.Deleted {
				seen[c.Key] = "deleted"
			}
		}
	}
	if want := map[string]string{"kept": "2", "new": "3", "gone": "deleted"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("%v, want %v", seen, want)
	}
}

// backups of an etcd of one member, while it is stopped.
type backups struct {
	t    *testing.T
	etcd *backendtest.Daemon
}

// swap replaces a folder by a copy of another one.
func (b backups) swap(from, to string) {
	b.t.Helper()
	if err := errors.Join(b.etcd.Stop(), os.RemoveAll(to)); err != nil {
		b.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	if err := b.etcd.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// An etcd that was restored from an older backup is not followed, and nothing is written to it: also once others have
// changed as much in it as was lost, and after a restart. What etcd had is followed again when it is back.
func TestRestored(t *testing.T) {
	testkit.Need(t, "cp")
	for name, change := range map[string]func(t *testing.T, s *Store, was uint64){
		"changed": func(t *testing.T, s *Store, was uint64) { set(t, s, "a", was, "2") },
		"created": func(t *testing.T, s *Store, _ uint64) { set(t, s, "b", 0, "1") },
		"deleted": func(t *testing.T, s *Store, was uint64) { wantErr(t, s.Delete(t.Context(), "a", was), nil) },
	} {
		t.Run(name, func(t *testing.T) { testRestored(t, change) })
	}
}

func testRestored(t *testing.T, change func(t *testing.T, s *Store, was uint64)) {
	testkit.NoLeaks(t)
	members, endpoints := startEtcd(t, 1)
	etcd, other := backups{t, members[0]}, node(t, endpoints)
	link, endpoints := linked(t, members[0])
	file := filepath.Join(t.TempDir(), "site")
	s, _ := keeps(t, endpoints, file)
	a := set(t, s, "a", 0, "1")
	data, backup, last := filepath.Join(members[0].Dir, "data"), filepath.Join(t.TempDir(), "data"),
		filepath.Join(t.TempDir(), "data")
	etcd.swap(data, backup)
	follows := func(want error) {
		t.Helper()
		testkit.Eventually(t, fmt.Sprint("it follows: ", want), func() bool {
			err := s.State().Err
			return err == nil && want == nil || want != nil && errors.Is(err, want)
		})
	}
	follows(nil)
	change(t, s, a)
	want, err := s.List(t.Context(), "")
	wantErr(t, err, nil)
	etcd.swap(data, last)
	follows(nil)
	link.Cut()
	etcd.swap(backup, data)
	for i := range 20 { // so that revisions are as high as before
		testkit.Eventually(t, "somebody else writes", func() bool {
			_, err := other.client.Put(t.Context(), fmt.Sprint("/other/", i), "")
			return err == nil
		})
	}
	link.Mend()
	follows(ErrRestored)
	_, err = s.CompareAndSet(t.Context(), "c", 0, nil)
	wantErr(t, err, ErrRestored)
	if got, err := s.List(t.Context(), ""); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it was followed: %v, %v, want %v", got, err, want)
	}
	wantErr(t, s.Close(), nil)
	_, err = Open(t.Context(), Options{Endpoints: endpoints, Prefix: "/portico", File: file,
		Passing: []string{"present/"}})
	wantErr(t, err, ErrRestored)
	etcd.swap(last, data)
	s, _ = keeps(t, endpoints, file)
	set(t, s, "c", 0, "3")
}

// linked opens a link to a member of etcd.
func linked(t *testing.T, etcd *backendtest.Daemon) (link *backendtest.Link, endpoints []string) {
	t.Helper()
	network := new(backendtest.Network)
	t.Cleanup(func() { network.Close() })
	link, err := network.Link(etcd.Address)
	if err != nil {
		t.Fatal(err)
	}
	return link, []string{"http://" + link.Address}
}

// A stream of changes ends with its connection, since the next one may lead to an etcd that was restored meanwhile.
func TestStreamEnds(t *testing.T) {
	testkit.NoLeaks(t)
	members, _ := startEtcd(t, 1)
	link, endpoints := linked(t, members[0])
	s := node(t, endpoints)
	watcher, err := s.open()
	wantErr(t, err, nil)
	defer watcher.Close()
	stream := watcher.Watch(t.Context(), s.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	wantErr(t, s.begun(t.Context(), stream), nil)
	was, other := s.State(), node(t, []string{"http://" + members[0].Address})
	link.Cut()
	link.Mend()
	for range stream { // until it ends
	}
	set(t, other, "a", 0, "1")
	testkit.Eventually(t, "it follows", func() bool { return has(s, "a", "1") })
	if is := s.State(); is != was {
		t.Errorf("it was said to be away: %v, before %v", is, was)
	}
}
