package etcdstore

import (
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/configs/store"
)

// Entries set aside are no part of a node's copy. Each node reads them in etcd, and can follow them.
func TestAside(t *testing.T) {
	testkit.NoLeaks(t)
	_, endpoints := startEtcd(t, 1)
	a, b := node(t, endpoints), node(t, endpoints)
	ctx := t.Context()
	boot := set(t, a, "nodes/mx1", 0, "boot 1")
	first, err := a.While("nodes/mx1", boot).CompareAndSet(ctx, store.Aside+"acks/mx1", 0, []byte("1"))
	wantErr(t, err, nil)
	if !has(b, store.Aside+"acks/mx1", "1") {
		t.Error("another node cannot read it")
	}
	_, err = b.Get(ctx, store.Aside+"acks/mx2")
	wantErr(t, err, store.ErrNotFound)
	changes, err := b.Watch(ctx, store.Aside+"acks/")
	wantErr(t, err, nil)
	if got := <-changes; len(got) != 1 || string(got[0].Value) != "1" {
		t.Errorf("at first: %v", got)
	}
	_, err = b.CompareAndSet(ctx, store.Aside+"acks/mx1", first-1, nil)
	wantErr(t, err, store.ErrConflict)
	second := set(t, a, store.Aside+"acks/mx1", first, "2")
	if got := <-changes; len(got) != 1 || string(got[0].Value) != "2" || got[0].Revision != second {
		t.Errorf("then: %v", got)
	}
	all, err := b.List(ctx, store.Aside)
	if err != nil || len(all) != 1 || string(all[0].Value) != "2" {
		t.Errorf("listed: %v, %v", all, err)
	}
	wantErr(t, a.Delete(ctx, store.Aside+"acks/mx1", second), nil)
	if got := <-changes; len(got) != 1 || !got[0].Deleted {
		t.Errorf("at last: %v", got)
	}
	set(t, a, "own", 0, "") // b has seen all before that
	testkit.Eventually(t, "the other node has followed", func() bool { return has(b, "own", "") })
	for _, s := range []*Store{a, b} {
		if found, err := s.List(ctx, ""); err != nil || len(found) != 2 {
			t.Errorf("a node's copy has %v, %v", found, err)
		}
	}
	_, err = a.While("nodes/mx1", boot+1).CompareAndSet(ctx, store.Aside+"acks/mx1", 0, nil)
	wantErr(t, err, store.ErrLost)
}
