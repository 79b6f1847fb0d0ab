package etcdstore

import (
	"context"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/configs/store"
)

// A presence is there while its node is, and gone soon after.
func TestPresence(t *testing.T) {
	testkit.NoLeaks(t)
	members, endpoints := startEtcd(t, 1)
	a, b := node(t, endpoints), node(t, endpoints)
	ctx, leave := context.WithCancel(t.Context())
	lost, err := a.Hold(ctx, "present/a", 0, []byte("here"), time.Second)
	wantErr(t, err, nil)
	_, err = b.Hold(ctx, "present/a", 0, nil, time.Second)
	wantErr(t, err, store.ErrConflict)
	testkit.Eventually(t, "it is seen", func() bool { return has(b, "present/a", "here") })
	leave()
	<-lost
	testkit.Eventually(t, "it is gone", func() bool { return !has(b, "present/a", "here") })
	c := node(t, endpoints)
	_, err = c.Hold(t.Context(), "present/c", 0, []byte("here"), time.Hour)
	wantErr(t, err, nil)
	testkit.Eventually(t, "it is seen", func() bool { return has(b, "present/c", "here") })
	wantErr(t, c.Close(), nil)
	testkit.Eventually(t, "it is gone", func() bool { return !has(b, "present/c", "here") })
	lost, err = a.Hold(t.Context(), "present/a", 0, []byte("here"), time.Second)
	wantErr(t, err, nil)
	a.note(ErrRestored) // who does not follow agrees to nothing, and others must know
	<-lost
	testkit.Eventually(t, "it is gone", func() bool { return !has(b, "present/a", "here") })
	lost, err = b.Hold(t.Context(), "present/b", 0, nil, time.Second)
	wantErr(t, err, nil)
	if err := members[0].Stop(); err != nil {
		t.Fatal(err)
	}
	<-lost
}
