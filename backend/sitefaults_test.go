//go:build unix

package backend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/configs/store/etcdstore"
	"portico/sleep"
)

// siteOptions say how large a site is, and what happens to it.
type siteOptions struct {
	nodes     int
	etcd      int // members of it
	databases int
	users     int           // of each node
	stay      time.Duration // most sessions are shorter
	suspended time.Duration // no node is suspended for longer
	away      time.Duration // etcd as a whole does not hang for longer
	keeps     bool          // nodes start while etcd is away; then none is fenced or removed
	trusting  int           // the last nodes do not wait for those whose lease is over
}

// testSite is nodes, each a process, an etcd, and a link from each node to each member of etcd.
type testSite struct {
	*siteChecker
	t       *testing.T
	o       siteOptions
	etcd    []*backendtest.Daemon
	peers   []*backendtest.Link // of the members of etcd
	network *backendtest.Network
	nodes   []*testNode
	store   *etcdstore.Store
	ctx     context.Context // ends before the site does
}

// startSite starts a site that ends with the test.
func startSite(t *testing.T, o siteOptions) *testSite {
	t.Helper()
	s := &testSite{siteChecker: newSiteChecker(t), t: t, o: o}
	s.siteChecker.fence = s.fence
	s.etcd, s.peers, s.network = testkit.LinkedEtcd(t, o.etcd)
	var cancel func()
	s.ctx, cancel = context.WithCancel(context.Background())
	direct := etcdstore.Options{Prefix: "/portico"}
	for _, member := range s.etcd {
		direct.Endpoints = append(direct.Endpoints, "http://"+member.Address)
	}
	var err error
	if s.store, err = etcdstore.Open(s.ctx, direct); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	for i := range o.databases { // so that nodes that start at once do not disturb each other
		_, err := s.store.CompareAndSet(s.ctx, fmt.Sprint(activeKey, "db", i), 0, []byte(siteServers[0]))
		if err != nil {
			t.Fatal(err)
		}
	}
	var running sync.WaitGroup
	for i := range o.nodes {
		n := &testNode{site: s, name: fmt.Sprint("mx", i), trusts: i >= o.nodes-o.trusting}
		if o.keeps {
			n.file = filepath.Join(t.TempDir(), "known")
		}
		for _, member := range s.etcd {
			link, err := s.network.Link(member.Address)
			if err != nil {
				t.Fatal(err)
			}
			n.links = append(n.links, link)
		}
		n.start()
		s.nodes = append(s.nodes, n)
		running.Go(n.supervise)
	}
	t.Cleanup(func() {
		cancel()
		for _, n := range s.nodes {
			n.starting.Lock()
			n.signal(syscall.SIGKILL)
			n.starting.Unlock()
		}
		running.Wait()
	})
	return s
}

// fence kills a node as something that takes away its power does. It returns before the node is back, or later.
func (s *testSite) fence(name string) {
	for _, n := range s.nodes {
		if n.name == name {
			n.kill(func() {})
		}
	}
	s.count(func(c *siteCounts) { c.Fenced++ })
	if rand.IntN(2) == 0 {
		time.Sleep(time.Second)
	}
}

// moves moves databases at random until ctx ends.
func (s *testSite) moves(ctx context.Context) {
	for ctx.Err() == nil {
		n := s.nodes[rand.IntN(len(s.nodes))]
		database, server := fmt.Sprint("db", rand.IntN(s.o.databases)), siteServers[rand.IntN(len(siteServers))]
		if e, err := s.store.Get(ctx, activeKey+database); err != nil || string(e.Value) == server {
			continue
		}
		patience := time.Duration(rand.IntN(2)) * 15 * time.Second
		if s.o.keeps && patience > 0 {
			patience = time.Hour
		}
		err := n.move(database, server, rand.N(20*time.Second), patience)
		s.count(func(c *siteCounts) { countMove(err, &c.Moved, &c.Stayed) })
		pauses(ctx, 200*time.Millisecond)
	}
}

// movesUsers moves users at random until ctx ends.
func (s *testSite) movesUsers(ctx context.Context) {
	for ctx.Err() == nil {
		n := s.nodes[rand.IntN(len(s.nodes))]
		user, to := fmt.Sprint("u", rand.IntN(s.o.users)), siteHome
		if i := rand.IntN(s.o.databases + 1); i < s.o.databases {
			to = fmt.Sprint("db", i)
		}
		if e, _ := s.store.Get(ctx, movedUserKey+user); string(e.Value) == strings.TrimPrefix(to, siteHome) {
			continue
		}
		err := n.move(user, to, rand.N(20*time.Second), 0)
		s.count(func(c *siteCounts) { countMove(err, &c.UsersMoved, &c.UsersStayed) })
		pauses(ctx, 200*time.Millisecond)
	}
}

func countMove(err error, moved, stayed *int) {
	if err != nil {
		moved = stayed
	}
	*moved++
}

// pauses waits for less than d.
func pauses(ctx context.Context, d time.Duration) { sleep.For(ctx, rand.N(d)) }

// breakNodes ends the processes of nodes until ctx ends: in order, at any moment, and then at each of the first writes
// of the next one.
func (s *testSite) breakNodes(ctx context.Context) {
	for round := 0; ctx.Err() == nil; round++ {
		n := s.nodes[rand.IntN(len(s.nodes))]
		if rand.IntN(3) == 0 {
			n.stop()
		} else {
			n.kill(func() {
				n.dies = s.nextDeath(round)
				if rand.IntN(8) == 0 && !s.o.keeps { // an operator's word
					s.remove(n)
				}
				pauses(ctx, time.Second)
			})
		}
		pauses(ctx, 4*time.Second)
	}
}

// suspendNodes suspends one node after the other, until ctx ends.
func (s *testSite) suspendNodes(ctx context.Context) {
	for ctx.Err() == nil {
		pauses(ctx, 4*time.Second)
		n := s.nodes[rand.IntN(len(s.nodes))]
		n.signal(syscall.SIGSTOP)
		s.count(func(c *siteCounts) { c.Suspended++ })
		if rand.IntN(4) > 0 {
			pauses(ctx, s.o.suspended)
		} else if sleep.For(ctx, s.o.suspended) == nil {
			s.count(func(c *siteCounts) { c.Longest++ })
		}
		n.signal(syscall.SIGCONT)
	}
}

// remove removes a node that is dead from the site.
func (s *testSite) remove(n *testNode) {
	if e, err := s.store.Get(s.ctx, "nodes/"+n.name); err == nil {
		s.store.Delete(s.ctx, e.Key, e.Revision)
	}
}

// breakLinks breaks the links of one node after the other to etcd, each for a while, until ctx ends.
func (s *testSite) breakLinks(ctx context.Context) {
	for ctx.Err() == nil {
		s.nodes[rand.IntN(len(s.nodes))].breakLinks(ctx)
		pauses(ctx, 3*time.Second)
	}
}

func (n *testNode) breakLinks(ctx context.Context) {
	what, all := rand.IntN(5), rand.IntN(2) == 0
	for _, link := range n.links {
		if !all && rand.IntN(2) == 0 {
			continue
		}
		switch what {
		case 0:
			link.Cut()
		case 1:
			link.Delay(rand.N(300 * time.Millisecond))
		default:
			link.Drop(backendtest.Direction(what - 1))
		}
	}
	n.site.count(func(c *siteCounts) { c.Cut++ })
	pauses(ctx, 8*time.Second)
	for _, link := range n.links {
		link.Mend()
	}
}

// breakEtcd does something to one member of etcd after the other, and sometimes to all, until ctx ends.
func (s *testSite) breakEtcd(ctx context.Context) {
	check := func(err error) {
		if err != nil {
			s.t.Error(err)
		}
	}
	for round := 0; ctx.Err() == nil; round++ {
		i := round % len(s.etcd)
		switch member := s.etcd[i]; rand.IntN(9) {
		case 0, 1:
			check(member.Kill())
			pauses(ctx, 2*time.Second)
			check(member.Start(s.ctx))
		case 2, 3:
			check(member.Freeze())
			pauses(ctx, 5*time.Second)
			check(member.Thaw())
		case 4, 5:
			s.peers[i].Cut()
			pauses(ctx, 5*time.Second)
			s.peers[i].Mend()
		case 6, 7:
			s.peers[i].Drop(backendtest.Direction(1 + rand.IntN(3)))
			pauses(ctx, 5*time.Second)
			s.peers[i].Mend()
		default: // leases end while nothing answers
			for _, member := range s.etcd {
				check(member.Freeze())
			}
			pauses(ctx, s.o.away)
			for _, member := range s.etcd {
				check(member.Thaw())
			}
			s.count(func(c *siteCounts) { c.EtcdAway++ })
		}
		s.count(func(c *siteCounts) { c.Etcd++ })
		pauses(ctx, 5*time.Second)
	}
}
