package site

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/secret"
	"portico/cluster"
	"portico/cluster/seal"
	"portico/configs/store"
)

// options are those of a node.
func options(name string) Options {
	return Options{Name: name, Secret: secret.Value(strings.Repeat("s", 32))}
}

// node returns a site as a node sees it.
func node(etcd store.Store, name string) *Site {
	return New(etcd, options(name), func() time.Time { return time.Unix(1, 0) })
}

// filled returns a store with entries.
func filled(t *testing.T, entries map[string]string) store.Store {
	t.Helper()
	s := store.Memory()
	write(t, s, entries)
	return s
}

// write replaces entries of a store; an empty value removes one.
func write(t *testing.T, s store.Store, entries map[string]string) {
	t.Helper()
	for key, value := range entries {
		before, err := s.Get(t.Context(), key)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			if value == "" {
				err = s.Delete(t.Context(), key, before.Revision)
			} else {
				_, err = s.CompareAndSet(t.Context(), key, before.Revision, []byte(value))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// content returns what a store has, but for what it says about the site itself.
func content(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	all, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]string)
	for _, e := range all {
		if !slices.Contains([]string{metaKey, markerKey, seal.CheckKey}, e.Key) {
			have[e.Key] = string(e.Value)
		}
	}
	return have
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func nothing() error { return nil }

// ofOneNode is what a node that has been in use alone has in data_dir.
func ofOneNode() map[string]string {
	return map[string]string{"active/db1": "mbx2", "settings": `{"banner":"Hello"}`, "protocol_log/key": "0123456789",
		"health/alerts": "[]", "health/components/x": "1", "offer/mbx1": "PLAIN"}
}

// A node begins a site and a second one joins it. What the site changes goes with each that leaves, and what a node
// keeps for itself stays.
func TestThereAndBack(t *testing.T) {
	ctx := t.Context()
	etcd, first, second := store.Memory(), filled(t, ofOneNode()), filled(t, map[string]string{"offer/mbx2": "LOGIN"})
	mx1, mx2 := node(etcd, "mx1"), node(etcd, "mx2")
	done, err := mx1.Init(ctx, first)
	if err != nil || done.Changed != 4 || done.Already {
		t.Fatalf("%+v, %v", done, err)
	}
	shared := ofOneNode()
	maps.DeleteFunc(shared, func(key, _ string) bool { return key == "health/components/x" || key == "offer/mbx1" })
	same(t, "the site", content(t, mx1.Store()), shared)
	if raw := content(t, etcd); raw["protocol_log/key"] == shared["protocol_log/key"] || raw["settings"] == "" {
		t.Errorf("etcd has %q", raw)
	}
	machine, err := mx1.Enter(ctx, first)
	if err != nil || machine == "" {
		t.Fatalf("the first node may not start: %v", err)
	}
	if other, err := mx2.Enter(ctx, second); err != nil || other == machine || other == "" {
		t.Fatalf("a node without entries may not start: %v", err)
	}
	register(t, etcd, "mx1", machine)
	register(t, etcd, "mx2", "")
	ownLadder, othersLadder := laddersKey+"mx1:a", laddersKey+"mx2:a"
	write(t, mx2.Store(), map[string]string{"active/db1": "mbx1", "settings": "", "blocked/mbx2": "ann",
		ownLadder: "1", othersLadder: "2"})
	const told = "heavy/mx1 heavy/mx2 health/seen/mx1 health/seen/mx2 parts/mx1 parts/mx2"
	for _, key := range strings.Fields(told) {
		write(t, etcd, map[string]string{key: "1"})
	}
	done, err = mx1.Leave(ctx, first, false, nothing)
	if err != nil || !slices.Equal(done.Others, []string{"mx2"}) {
		t.Fatalf("%+v, %v", done, err)
	}
	for key := range content(t, etcd) {
		if key == ownLadder || strings.HasSuffix(key, "/mx1") {
			t.Errorf("etcd has %s of a node that has left", key)
		}
	}
	same(t, "the first", content(t, first), map[string]string{"active/db1": "mbx1", "blocked/mbx2": "ann",
		ownLadder: "1", othersLadder: "2",
		"protocol_log/key": "0123456789", "health/alerts": "[]", "health/components/x": "1", "offer/mbx1": "PLAIN"})
	if err := Alone(ctx, first); err != nil {
		t.Errorf("it may not start alone: %v", err)
	}
	if _, err := mx2.Enter(ctx, second); err != nil {
		t.Errorf("the second may not go on: %v", err)
	}
	if done, err = mx2.Leave(ctx, second, false, nothing); err != nil || done.Others != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := mx1.Enter(ctx, first); !errors.Is(err, errNoSite) {
		t.Errorf("the site has ended: %v", err)
	}
	if done, err = mx2.Init(ctx, second); err != nil || done.Changed != 0 {
		t.Errorf("begun again: %+v, %v", done, err)
	}
}

// register registers a node in etcd.
func register(t *testing.T, etcd store.Store, name, machine string) {
	t.Helper()
	self := cluster.Node{Name: name, Machine: machine}
	if _, err := cluster.Join(t.Context(), etcd, self, cluster.Options{}); err != nil {
		t.Fatal(err)
	}
}

// cut fails each write after some, the first of them before or after the write is made.
type cut struct {
	store.Store
	left  *int
	after bool
}

var errCut = errors.New("killed")

func (c cut) While(key string, revision uint64) store.Writer {
	return cutWriter{c.Store.While(key, revision), c}
}

func (c cut) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return cutWriter{c.Store, c}.CompareAndSet(ctx, key, revision, value)
}

func (c cut) Delete(ctx context.Context, key string, revision uint64) error {
	return cutWriter{c.Store, c}.Delete(ctx, key, revision)
}

type cutWriter struct {
	store.Writer
	of cut
}

func (w cutWriter) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (done uint64,
	err error) {
	err = w.of.write(func() error { done, err = w.Writer.CompareAndSet(ctx, key, revision, value); return err })
	return done, err
}

func (w cutWriter) Delete(ctx context.Context, key string, revision uint64) error {
	return w.of.write(func() error { return w.Writer.Delete(ctx, key, revision) })
}

func (c cut) write(do func() error) error {
	*c.left--
	switch {
	case *c.left >= 0:
		return do()
	case *c.left == -1 && c.after:
		if err := do(); err != nil {
			return err
		}
	}
	return errCut
}

// Killed at any write, and run again, a command does what it would have done. A start in between uses neither store by
// mistake.
func TestKilledAnywhere(t *testing.T) {
	type site struct{ etcd, local store.Store }
	init := func(etcd, local store.Store) error { _, err := node(etcd, "mx1").Init(t.Context(), local); return err }
	leave := func(etcd, local store.Store) error {
		_, err := node(etcd, "mx1").Leave(t.Context(), local, false, nothing)
		return err
	}
	change := func(of site) {
		register(t, of.etcd, "mx1", "")
		write(t, node(of.etcd, "mx1").Store(), map[string]string{"active/db1": "mbx1", "settings": "",
			"blocked/m": "a"})
	}
	for name, c := range map[string]struct {
		before []func(site)
		do     func(etcd, local store.Store) error
	}{
		"init":       {nil, init},
		"leave":      {[]func(site){func(of site) { init(of.etcd, of.local) }, change}, leave},
		"init again": {[]func(site){func(of site) { init(of.etcd, of.local) }, change, func(of site) { leave(of.etcd, of.local) }}, init},
	} {
		start := func() site {
			of := site{store.Memory(), filled(t, ofOneNode())}
			for _, step := range c.before {
				step(of)
			}
			return of
		}
		whole := start()
		if err := c.do(whole.etcd, whole.local); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for writes := 0; ; writes++ {
			of, left := start(), writes
			err := c.do(cut{of.etcd, &left, writes%2 == 0}, cut{of.local, &left, writes%2 == 0})
			if err == nil {
				if writes < 3 {
					t.Errorf("%s: only %d writes", name, writes)
				}
				break
			}
			if !errors.Is(err, errCut) {
				t.Fatalf("%s, write %d: %v", name, writes, err)
			}
			here := content(t, of.local)
			if Alone(t.Context(), of.local) == nil && !maps.Equal(here, content(t, start().local)) &&
				!maps.Equal(here, content(t, whole.local)) {
				t.Errorf("%s, write %d: it may start alone with %q", name, writes, here)
			}
			mx1, want := node(of.etcd, "mx1").Store(), content(t, node(whole.etcd, "mx1").Store())
			_, err = node(of.etcd, "mx1").Enter(t.Context(), of.local)
			if there := content(t, mx1); err == nil && !maps.Equal(there, want) {
				t.Errorf("%s, write %d: it may start with %q of etcd", name, writes, there)
			}
			for range 2 { // running it twice more does no harm
				if err := c.do(of.etcd, of.local); err != nil {
					t.Errorf("%s, after write %d: %v", name, writes, err)
				}
			}
			same(t, name+": data_dir", content(t, of.local), content(t, whole.local))
			same(t, name+": etcd", content(t, mx1), want)
		}
	}
}

// A node with other entries than the site's does not join, and one whose entries were changed meanwhile does not leave,
// unless it is told to discard them. What has happened there does not matter.
func TestDifferences(t *testing.T) {
	ctx := t.Context()
	etcd := store.Memory()
	if _, err := node(etcd, "mx1").Init(ctx, filled(t, ofOneNode())); err != nil {
		t.Fatal(err)
	}
	local := filled(t, map[string]string{"active/db1": "mbx2", "settings": "{}", "blocked/m": "ann",
		"health/alerts": "[1]"})
	mx2 := node(etcd, "mx2")
	keys := func(err error) (all []string) {
		var d *Differ
		if !errors.As(err, &d) {
			t.Errorf("no differences: %v", err)
			return nil
		}
		for _, e := range d.Entries {
			all = append(all, e.Key+" "+string(e.Before)+" "+string(e.After))
		}
		return all
	}
	if _, err := mx2.Enter(ctx, local); !errors.Is(err, errNotYet) {
		t.Errorf("may start: %v", err)
	}
	before := content(t, local)
	_, err := mx2.Join(ctx, local, false)
	if got := keys(err); !slices.Equal(got, []string{"blocked/m ann ", `settings {} {"banner":"Hello"}`}) {
		t.Errorf("differ: %q", got)
	}
	for range 2 {
		if _, err = mx2.Join(ctx, local, true); err != nil {
			t.Errorf("discarding: %v", err)
		}
	}
	same(t, "data_dir", content(t, local), before)
	write(t, local, map[string]string{"pinned": "db1"})
	_, err = mx2.Leave(ctx, local, false, nothing)
	if got := keys(err); len(got) != 3 {
		t.Errorf("differ: %q", got)
	}
	if _, err := mx2.Leave(ctx, local, true, nothing); err != nil {
		t.Errorf("discarding: %v", err)
	}
	want := ofOneNode()
	delete(want, "health/components/x")
	delete(want, "offer/mbx1")
	same(t, "data_dir", content(t, local), want)
}

// A node that does not belong to a site does not start with it, and the error says what to do.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	begun := func(name string) (etcd, local store.Store) {
		etcd, local = store.Memory(), store.Memory()
		if _, err := node(etcd, name).Init(ctx, local); err != nil {
			t.Fatal(err)
		}
		return etcd, local
	}
	etcd, local := begun("mx1")
	other, _ := begun("mx9")
	thief := New(etcd, Options{Name: "mx2", Secret: secret.Value(strings.Repeat("x", 32))}, time.Now)
	_, nowhere := node(store.Memory(), "mx1").Enter(ctx, store.Memory())
	_, stranger := node(other, "mx1").Enter(ctx, local)
	_, joined := node(other, "mx1").Join(ctx, local, true)
	_, second := node(etcd, "mx2").Init(ctx, store.Memory())
	_, unsealed := thief.Enter(ctx, store.Memory())
	_, unjoined := thief.Join(ctx, store.Memory(), true)
	_, elsewhere := node(filled(t, map[string]string{"x": "y"}), "mx1").Init(ctx, store.Memory())
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"etcd is empty":             {nowhere, "run portico cluster init"},
		"another site":              {stranger, "run portico cluster leave"},
		"another site to join":      {joined, "run portico cluster leave"},
		"a site begun twice":        {second, "run portico cluster join"},
		"another secret":            {unsealed, "cluster.secret_file"},
		"another secret to join":    {unjoined, "cluster.secret_file"},
		"without etcd":              {Alone(ctx, local), "cluster.etcd.endpoints"},
		"a prefix of somebody else": {elsewhere, "another prefix"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
}

// A node whose etcd is lost leaves with what it knew last.
func TestLeaveLostSite(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	etcd, local := store.Memory(), filled(t, map[string]string{"active/db1": "mbx1"})
	if _, err := node(etcd, "mx1").Init(ctx, local); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"active/db1": "mbx2", "protocol_log/key": "0123456789"}
	write(t, node(etcd, "mx1").Store(), want)
	if _, err := Known(ctx, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	all, err := etcd.List(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.WriteKnown(filepath.Join(dir, KnownFile), store.Known{Identity: "etcd-1", Revision: 9,
		Entries: all}); err != nil {
		t.Fatal(err)
	}
	known, err := Known(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node(known, "mx1").Leave(ctx, local, false, nothing); err != nil {
		t.Error(err)
	}
	same(t, "data_dir", content(t, local), want)
}
