//go:build unix

package backend

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// How long the proof with processes takes; see soak-cluster in the Makefile.
var (
	siteMoves     = flag.Int("site-moves", 10, "how many databases and users to move on a site that is broken")
	siteDeaths    = flag.Int("site-deaths", 0, "at how many different writes nodes have to die meanwhile")
	siteAdmitted  = flag.Int("site-admissions", 500, "how many users to let in meanwhile")
	siteSuspended = flag.Duration("site-suspended", time.Second, "how long a node is suspended at most")
	siteAway      = flag.Duration("site-etcd-away", time.Second, "how long the whole etcd hangs at most")
	siteUsers     = flag.Int("site-users", 8, "how many users each node has")
	siteKeeps     = flag.Bool("site-keeps", true, "nodes start while etcd is away; else some are fenced and removed")
	siteTrusts    = flag.Bool("site-trusts", false, "do not wait for nodes whose lease is over, which has to be found")
)

// However nodes and etcd die, hang, and lose each other's words, and wherever their clocks stand, nobody is let in to a
// database at one server while somebody is in at another, and no user to one database while the same user is in to
// another. In the end everybody is let in again at each node.
func TestSiteNeverAtTwoServers(t *testing.T) {
	o := siteOptions{nodes: 5, etcd: 3, databases: 4, users: *siteUsers, stay: 10 * time.Millisecond,
		suspended: *siteSuspended, away: *siteAway, keeps: *siteKeeps}
	if *siteTrusts {
		o.trusting = o.nodes
	}
	s := startSite(t, o)
	if siteClocks() == nil {
		t.Log("this kernel gives all processes the same clock")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() { s.moves(ctx) })
		work.Go(func() { s.movesUsers(ctx) })
	}
	work.Go(func() { s.breakNodes(ctx) })
	work.Go(func() { s.suspendNodes(ctx) })
	work.Go(func() { s.breakLinks(ctx) })
	work.Go(func() { s.breakEtcd(ctx) })
	missing := func(c siteCounts) bool {
		return c.Moved < *siteMoves || c.UsersMoved < *siteMoves || c.Admitted < *siteAdmitted || c.Writes < *siteDeaths
	}
	for c, told := s.now(), time.Now(); missing(c) && c.Wrong == 0; c = s.now() {
		if pauses(ctx, 100*time.Millisecond); time.Since(told) > time.Minute {
			told = time.Now()
			t.Logf("%+v", c)
		}
	}
	cancel()
	work.Wait()
	s.settles()
	c := s.now()
	if t.Logf("%+v", c); (c.Wrong > 0) != *siteTrusts {
		t.Errorf("users were let in at two servers: %q", s.wrong)
	}
}

// settles moves each database and each user a last time, and waits until each node lets the users in there.
func (s *testSite) settles() {
	s.t.Helper()
	moves := func(i int, what, to string) {
		testkit.Eventually(s.t, what+" moves to "+to, func() bool {
			return s.nodes[i%len(s.nodes)].move(what, to, 10*time.Second, 0) == nil
		})
	}
	for i := range s.o.databases {
		moves(i, fmt.Sprint("db", i), siteServers[i%len(siteServers)])
	}
	for i := range s.o.users {
		database, server := i%s.o.databases, siteServers[i%s.o.databases%len(siteServers)]
		user, place := fmt.Sprint("u", i), fmt.Sprint("db", database, "@", server)
		moves(i, user, fmt.Sprint("db", database))
		for _, n := range s.nodes {
			testkit.Eventually(s.t, n.name+" lets "+user+" in to "+place, func() bool {
				life, _ := n.now()
				return s.in(user, place, life) > 0
			})
		}
	}
}

// A node that is suspended still has users in. A site whose nodes take its lease for that lets others in elsewhere, and
// the checker finds it; nodes that ask for its word do not move anything.
func TestLeasesAreNoFences(t *testing.T) {
	s := startSite(t, siteOptions{nodes: 3, etcd: 1, databases: 1, users: 2, stay: time.Minute, trusting: 1})
	s.settles()
	testkit.Eventually(t, "mx0 is present", func() bool {
		_, err := s.store.Get(t.Context(), "present/mx0")
		return err == nil
	})
	s.nodes[0].signal(syscall.SIGSTOP)
	testkit.Eventually(t, "its lease is over, as after an etcd that has hung", func() bool {
		e, err := s.store.Get(t.Context(), "present/mx0")
		return err == nil && s.store.Delete(t.Context(), e.Key, e.Revision) == nil
	})
	err := s.nodes[1].move("db0", "mbx2", 200*time.Millisecond, time.Hour)
	if c := s.now(); err == nil || !strings.Contains(err.Error(), "mx0 may still have sessions") || c.Wrong > 0 {
		t.Errorf("%v, %+v", err, c)
	}
	if err := s.nodes[2].move("db0", "mbx2", testkit.Patience, time.Hour); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "users are in at two servers", func() bool { return s.now().Wrong > 0 })
}
