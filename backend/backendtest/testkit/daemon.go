package testkit

import (
	"context"
	"errors"
	"testing"

	"portico/backend/backendtest"
)

// Daemon starts a server of this system that ends with the test. The test is skipped (see Need) where there is none.
func Daemon(t testing.TB, start func(context.Context) (*backendtest.Daemon, error)) *backendtest.Daemon {
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
