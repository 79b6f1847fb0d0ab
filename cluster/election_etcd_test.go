package cluster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cluster"
	"portico/configs/store/etcdstore"
)

// With a real etcd: a leader that is cut off is replaced when its lease ends. It notices that when it is back, and
// follows.
func TestLeaderIsCutOff(t *testing.T) {
	t.Parallel() // it waits for a lease
	etcd := testkit.Etcd(t, 1)
	var network backendtest.Network
	defer network.Close()
	link, err := network.Link(etcd[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	part := func(name, address string) *cluster.Election {
		s, err := etcdstore.Open(ctx, etcdstore.Options{Endpoints: []string{"http://" + address}, Prefix: "/portico",
			Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		l := cluster.NewElection(s, s, name, func(err error) { t.Log(err) })
		work.Go(func() {
			defer s.Close()
			l.Run(ctx)
		})
		return l
	}
	first := part("mx1", link.Address)
	testkit.Eventually(t, "the first one leads", first.Leads)
	second := part("mx2", etcd[0].Address)
	testkit.Eventually(t, "the second one knows", func() bool { return second.Name() == "mx1" })
	if second.Leads() {
		t.Error("both lead")
	}
	link.Drop(backendtest.Upstream | backendtest.Downstream)
	testkit.Eventually(t, "the second one leads", second.Leads)
	link.Mend()
	testkit.Eventually(t, "the first one follows", func() bool { return !first.Leads() && first.Name() == "mx2" })
	second.Resign()
	testkit.Eventually(t, "the first one leads again", first.Leads)
}
