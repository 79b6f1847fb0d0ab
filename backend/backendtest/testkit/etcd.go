package testkit

import (
	"errors"
	"testing"

	"portico/backend/backendtest"
)

// Etcd starts an etcd of one member, which ends with the test, and returns its host and port.
func Etcd(t testing.TB) (address string) {
	t.Helper()
	all, err := backendtest.StartEtcd(t.Context(), 1)
	if missing := new(backendtest.MissingError); errors.As(err, &missing) {
		Lack(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { all[0].Close() })
	return all[0].Address
}
