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
