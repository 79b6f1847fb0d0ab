package proxy

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/cluster/counts"
	"portico/configs/store"
	"portico/sleep"
)

// siteNodes starts nodes that count together, as far as admission, delays and guesses are concerned. They run until
// the test ends, on its clock.
func siteNodes(t *testing.T, number int) []*Server {
	t.Helper()
	shared := store.Memory()
	seed, err := counts.Seed(t.Context(), shared, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range number {
		names = append(names, fmt.Sprint("mx", i))
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() {
		stop()
		shared.Close()
	})
	var nodes []*Server
	for _, name := range names {
		keys := keyHashOf(seed)
		s := &Server{admission: newAdmission(time.Now), authDelays: newAuthDelays(keys, time.Now),
			guesses: newGuessLimiter(keys, time.Now, sleep.For)}
		s.settings.Store(&Settings{Limits: Limits{ConnectionsPerUser: 16}, AuthDelay: authDelayDefaults,
			Guesses: guessDefaults})
		s.joinSite(keys)
		exchange, err := counts.New(counts.Options{Store: shared, Name: name, Random: rand.Reader,
			Present: func() []string { return names }, Kinds: s.Counted(),
			Failed: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		go exchange.Run(ctx)
		nodes = append(nodes, s)
	}
	return nodes
}

// interval lets an interval pass.
func interval() {
	time.Sleep(counts.Interval(3))
	synctest.Wait()
}

// connect tries connections of a user at a node, and returns the tickets of those that were admitted.
func connect(t *testing.T, s *Server, user string, tries int) (all []*ticket) {
	t.Helper()
	for range tries {
		ticket, err := s.admission.enter(netip.MustParseAddr("192.0.2.7"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if ticket.claim(user, s.Settings().Limits.ConnectionsPerUser) != nil {
			ticket.giveBack()
			continue
		}
		ticket.sign()
		all = append(all, ticket)
	}
	return all
}

// A user's sixteen connections over three nodes. The bound: each other node keeps those below a quarter of the limit to
// itself, and nobody knows what came within the last interval.
func TestUsersLimitOverNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := siteNodes(t, 3)
		admitted := func(user string, tries ...int) (n int) {
			for i, try := range tries {
				n += len(connect(t, nodes[i%3], user, try))
				interval()
			}
			return n
		}
		for _, c := range []struct {
			how   string
			tries []int
			want  int
		}{
			{"one by one, from node to node", slices.Repeat([]int{1}, 60), 16},
			{"all at one, then at the others", []int{20, 20, 20}, 16},
			{"a quarter at two, which they tell, then all at the third", []int{4, 4, 20, 20, 20}, 16},
			{"as many as two do not tell, then all at the third", []int{3, 3, 20, 20, 20}, 16 + 2*3},
		} {
			if got := admitted(c.how, c.tries...); got != c.want {
				t.Errorf("%s: %d connections, want %d", c.how, got, c.want)
			}
		}
		at := 0
		for _, node := range nodes { // within an interval
			at += len(connect(t, node, "bob", 20))
		}
		if at != 3*16 {
			t.Errorf("within an interval: %d connections, want %d", at, 3*16)
		}
	})
}

// A user who leaves one node may come to another; a user below a quarter of the limit costs no count.
func TestUsersPlacesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := siteNodes(t, 2)
		all := connect(t, nodes[0], "ann", 16)
		connect(t, nodes[0], "bob", 3)
		nodes[0].Reserve(Places{Connections: 16, Users: map[string]int{"eve": 16}}) // carried by an earlier process
		interval()
		if got := len(nodes[1].admission.site.others); got != 2 {
			t.Errorf("%d users are known elsewhere, want 2", got)
		}
		for _, user := range []string{"ann", "eve"} {
			if got := len(connect(t, nodes[1], user, 1)); got != 0 {
				t.Errorf("%s has a connection too many", user)
			}
		}
		for _, ticket := range all {
			ticket.giveBack()
		}
		nodes[0].Reserve(Places{Connections: -16, Users: map[string]int{"eve": -16}})
		interval()
		for _, user := range []string{"ann", "eve"} {
			if got := len(connect(t, nodes[1], user, 20)); got != 16 {
				t.Errorf("%s: %d connections, want 16", user, got)
			}
		}
		if got := len(nodes[0].admission.site.heavy); got != 0 {
			t.Errorf("%d users are told though they have gone", got)
		}
	})
}

// guessOn guesses at each node as fast as it can until ctx ends, and returns how many guesses were verified.
func guessOn(ctx context.Context, nodes []*Server, user func(i int) string) *atomic.Int64 {
	verified := new(atomic.Int64)
	addr := netip.MustParseAddr("192.0.2.66")
	for n, node := range nodes {
		for p := range 4 { // connections
			go func() {
				for i := 0; ctx.Err() == nil; i++ {
					draws := node.guesses.draws(addr, user(i*16+p*4+n), false, guessDefaults)
					if node.guesses.tryTake(draws) || node.guesses.take(ctx, draws) == nil {
						verified.Add(1)
						time.Sleep(10 * time.Millisecond) // the mailbox server's answer
						node.guesses.spend(draws)
					}
				}
			}()
		}
	}
	return verified
}

// A guesser on three nodes is no faster than on one: what the other nodes verify within an interval, once, is all that
// is gained, however long it goes on.
func TestGuesserOnThreeNodes(t *testing.T) {
	for name, c := range map[string]struct {
		of   bucketKind
		user func(i int) string
	}{
		"one user":   {userBuckets, func(int) string { return "bob" }},
		"many users": {addressBuckets, func(i int) string { return fmt.Sprint("user", i) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rate := guessDefaults.rate(c.of)
				for _, number := range []int{1, 3} {
					ctx, cancel := context.WithCancel(t.Context())
					verified := guessOn(ctx, siteNodes(t, number), c.user)
					var at []int
					for range 3 {
						time.Sleep(10 * time.Minute)
						at = append(at, int(verified.Load()))
					}
					cancel()
					time.Sleep(time.Minute)
					perTen := 600 * rate.perSecond
					known := (counts.Interval(number) + time.Second).Seconds() // and verifying takes a moment
					bound := rate.burst + perTen + float64(number-1)*(rate.burst+known*rate.perSecond)
					t.Logf("%d nodes: %d guesses in 10 minutes (bound %.0f), %d and %d in the next", number, at[0],
						bound, at[1]-at[0], at[2]-at[1])
					if float64(at[0]) > bound+1 {
						t.Errorf("%d nodes: %d guesses in ten minutes, bound %.0f", number, at[0], bound)
					}
					if later := float64(at[2] - at[0]); later > 2*perTen+1+float64(number-1)*known*rate.perSecond {
						t.Errorf("%d nodes: %.0f guesses in twenty minutes after that, %.0f on one", number, later,
							2*perTen)
					}
					if float64(at[2]) < 3*perTen*0.9 {
						t.Errorf("%d nodes: only %d guesses in half an hour: others wait too long", number, at[2])
					}
				}
			})
		})
	}
}

// Failures on other nodes make the answer wait, and clearing penalties at all nodes clears what they have told.
func TestPenaltiesOverNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := siteNodes(t, 2)
		home, office := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.9")
		o := authDelayDefaults
		for range 2 {
			nodes[0].authDelays.fail(home, "ann", o)
		}
		for range 3 {
			nodes[0].authDelays.fail(home, "bob", o)
		}
		for range 10 {
			draws := nodes[0].guesses.draws(home, "bob", false, guessDefaults)
			if !nodes[0].guesses.tryTake(draws) {
				t.Fatal("no token")
			}
			nodes[0].guesses.spend(draws)
		}
		interval()
		if wait := nodes[1].authDelays.fail(office, "ann", o); wait != o.First {
			t.Errorf("ann, who has failed twice elsewhere, waits %v", wait)
		}
		if wait := nodes[1].authDelays.fail(office, "bob", o); wait != o.Longest {
			t.Errorf("bob, who has failed three times elsewhere, waits %v", wait)
		}
		draws := nodes[1].guesses.draws(home, "bob", false, guessDefaults)
		if nodes[1].guesses.tryTake(draws) { // and one token is back
			nodes[1].guesses.spend(draws)
		}
		if nodes[1].guesses.tryTake(draws) {
			t.Error("a guess is verified though all were spent elsewhere")
		}
		for _, node := range nodes {
			node.Forgive(func(d AuthDelay) bool { return d.User == "bob" })
		}
		interval()
		if wait := nodes[1].authDelays.fail(netip.MustParseAddr("203.0.113.5"), "bob", o); wait != o.First {
			t.Errorf("bob waits %v after penalties were cleared", wait)
		}
		if !nodes[1].guesses.tryTake(nodes[1].guesses.draws(home, "bob", true, guessDefaults)) {
			t.Error("bob has no guess after penalties were cleared")
		}
		time.Sleep(2 * o.Forget)
		if n := len(nodes[0].authDelays.site.heavy) + len(nodes[1].authDelays.site.others); n != 0 {
			t.Errorf("%d entries are left of failures that are forgotten", n)
		}
	})
}

// A bucket that another node has emptied is shown nowhere but there, and cleared here too though nobody knows whose.
func TestClearedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := siteNodes(t, 2)
		home := netip.MustParseAddr("192.0.2.7")
		draws := nodes[0].guesses.draws(home, "bob", true, guessDefaults)
		for nodes[0].guesses.tryTake(draws) {
			nodes[0].guesses.spend(draws)
		}
		interval()
		if list := nodes[1].AuthDelays(); len(list) != 0 {
			t.Errorf("a node lists %v, and cannot know whose it is", list)
		}
		for _, node := range nodes {
			node.Forgive(func(d AuthDelay) bool { return d.User == "bob" })
		}
		interval()
		left := 0
		for nodes[1].guesses.tryTake(draws) {
			left++
		}
		if left != guessDefaults.AtOnce {
			t.Errorf("%d guesses after penalties were cleared, want %d", left, guessDefaults.AtOnce)
		}
	})
}

// Where there is one node nothing is hashed, noted or allocated for others.
func TestOneNodeCountsAlone(t *testing.T) {
	a := newAdmission(time.Now)
	ticket, err := a.enter(netip.MustParseAddr("192.0.2.7"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a.users["ann"] = 1
	if n := testing.AllocsPerRun(100, func() {
		a.site.note("ann", a.users["ann"]+a.site.elsewhere("ann"), 16)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	ticket.giveBack()
}
