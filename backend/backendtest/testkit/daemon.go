package testkit

import (
	"context"
	"errors"
	"io"
	"testing"

	"portico/backend/backendtest"
)

// Daemon starts a server of this system that ends with the test. The test is skipped (see Need) where there is none.
func Daemon(t testing.TB, start func(context.Context) (*backendtest.Daemon, error)) *backendtest.Daemon {
	t.Helper()
	return started(t, start)
}

// Courier starts a Courier that ends with the test. The test is skipped (see Need) where there is none.
func Courier(t testing.TB, users ...backendtest.User) *backendtest.Courier {
	t.Helper()
	return started(t, func(ctx context.Context) (*backendtest.Courier,
		error) {
		return backendtest.StartCourier(ctx, users)
	})
}

// Cyrus starts a Cyrus that ends with the test. The test is skipped (see Need) where there is none.
func Cyrus(t testing.TB, users ...backendtest.User) *backendtest.Cyrus {
	t.Helper()
	return started(t, func(ctx context.Context) (*backendtest.Cyrus,
		error) {
		return backendtest.StartCyrus(ctx, users)
	})
}

// LinkedEtcd starts an etcd that ends with the test, and a network whose links its members reach each other by. The
// test is skipped (see Need) where there is none.
func LinkedEtcd(t testing.TB, members int) (all []*backendtest.Daemon, links []*backendtest.Link,
	network *backendtest.Network) {
	t.Helper()
	network = new(backendtest.Network)
	t.Cleanup(func() { network.Close() })
	all, links, err := backendtest.StartLinkedEtcd(Context(t), members, network)
	if missing := new(backendtest.MissingError); errors.As(err, &missing) {
		Lack(t, missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, member := range all {
			if err := member.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
	return all, links, network
}

func started[D io.Closer](t testing.TB, start func(context.Context) (D, error)) D {
	t.Helper()
	d, err := start(Context(t))
	var missing *backendtest.MissingError
	switch {
	case errors.As(err, &missing):
		Lack(t, missing)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}
