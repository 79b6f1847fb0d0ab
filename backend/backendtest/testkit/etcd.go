package testkit

import (
	"errors"
	"testing"

	"portico/backend/backendtest"
)

// Etcd starts an etcd with a number of members, which end with the test. The test is skipped (see Need) without etcd.
func Etcd(t testing.TB, members int) (all []*backendtest.Daemon) {
	t.Helper()
	all, err := backendtest.StartEtcd(Context(t), members)
	etcdStarted(t, all, err)
	return all
}

// LinkedEtcd is Etcd, and a network whose links its members reach each other by.
func LinkedEtcd(t testing.TB, members int) (all []*backendtest.Daemon, links []*backendtest.Link,
	network *backendtest.Network) {
	t.Helper()
	network = new(backendtest.Network)
	t.Cleanup(func() { network.Close() })
	all, links, err := backendtest.StartLinkedEtcd(Context(t), members, network)
	etcdStarted(t, all, err)
	return all, links, network
}

func etcdStarted(t testing.TB, all []*backendtest.Daemon, err error) {
	t.Helper()
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
}
