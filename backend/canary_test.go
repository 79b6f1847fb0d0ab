package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/directory"
	"portico/configs/store"
)

// A user's sessions are all on one side of a canary, over all nodes, whoever changes the canary and dies meanwhile.
func TestUsersAreOnOneSideOfACanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{store: store.Memory(), in: make(map[string]map[*crowdNode]map[string]int)}
		defer c.store.Close()
		for i := range 6 {
			c.users = append(c.users, fmt.Sprint("user", i))
		}
		c.change = func(n *crowdNode, ctx context.Context) error {
			return n.active.ChangeCanary(ctx, "db1", func(now Canary) (Canary, error) {
				if now.Server != "" && rand.IntN(4) == 0 {
					return Canary{}, nil
				}
				next := Canary{Name: "v2", Database: "db1", Server: []string{"mbx2", "mbx3"}[rand.IntN(2)], Salt: "s",
					Percent: 1 + 99*rand.Float64(), Since: time.Unix(0, 0)}
				if now.Server != "" {
					next.Server = now.Server
				}
				if rand.IntN(2) == 0 {
					next.Users = []string{"user3"}
				}
				return next, nil
			}, n.endUsers, MoveOptions{})
		}
		c.moves(t)
	})
}

// canaryOf starts a canary of db1 on mbx3, of a part of the users.
func canaryOf(m *ActiveManager, percent float64, ended *[]string, users ...string) error {
	return m.ChangeCanary(context.Background(), "db1", func(now Canary) (Canary, error) {
		return Canary{Name: "v2", Database: "db1", Server: "mbx3", Percent: percent, Salt: cmp.Or(now.Salt, "salt"),
			Users: users, Since: time.Unix(0, 0)}, nil
	}, func(_ string, concerned func(string) bool) {
		*ended = nil
		for i := range 1000 {
			if user := fmt.Sprint("user", i); concerned(user) {
				*ended = append(*ended, user)
			}
		}
	}, MoveOptions{})
}

// A higher share adds users, and ends the sessions of those alone. After a restart all are where they were.
func TestShareOfACanary(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	m, err := NewActiveManager(t.Context(), s, nil, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), crowdDatabases)
	}
	if err != nil {
		t.Fatal(err)
	}
	on := func(m *ActiveManager) (users []string) {
		for i := range 1000 {
			user := fmt.Sprint("user", i)
			servers, err := m.leased(t.Context(), "db1", user, nil)
			if err != nil || len(servers) != 3 || servers[0] == "mbx2" || servers[0] == "mbx1" && servers[2] != "mbx3" {
				t.Fatalf("%s: %q, %v", user, servers, err)
			}
			if m.release("db1", user); servers[0] == "mbx3" {
				users = append(users, user)
			}
		}
		return users
	}
	var before, ended []string
	for _, percent := range []float64{0.5, 5, 20, 100} {
		if err := canaryOf(m, percent, &ended, "user9", "user7"); err != nil {
			t.Fatal(err)
		}
		now := on(m)
		if n := float64(len(now)); n < percent*10*0.5 || n > percent*10*1.5+2 || !slices.Contains(now, "user7") ||
			!slices.Contains(now, "user9") {
			t.Errorf("%v %% of 1000 users are %v", percent, n)
		}
		added := slices.DeleteFunc(slices.Clone(now), func(user string) bool { return slices.Contains(before, user) })
		if len(added) != len(now)-len(before) || !slices.Equal(added, ended) {
			t.Errorf("from %d to %d users, the sessions of %d end", len(before), len(now), len(ended))
		}
		before = now
	}
	if err := canaryOf(m, 10, &ended); err != nil {
		t.Fatal(err)
	}
	want := on(m)
	if m, err = NewActiveManager(t.Context(), s, nil, nil); err == nil {
		_, err = m.Configure(t.Context(), crowdDatabases)
	}
	if err != nil || !slices.Equal(on(m), want) {
		t.Errorf("after a restart other users are on it: %v", err)
	}
	if err := m.Block(t.Context(), "mbx3", ByOperator); err != nil {
		t.Fatal(err)
	}
	if servers, err := m.leased(t.Context(), "db1", want[0], nil); err != nil ||
		!slices.Equal(servers, []string{"mbx1", "mbx2"}) {
		t.Errorf("with the server blocked: %q, %v", servers, err)
	}
	m.release("db1", want[0])
	stop := func(Canary) (Canary, error) { return Canary{}, nil }
	if err := m.ChangeCanary(t.Context(), "db1", stop, func(string, func(string) bool) {}, MoveOptions{}); err != nil {
		t.Fatal(err)
	}
	left, err := s.List(t.Context(), canaryKey)
	if err != nil || len(left) > 0 || len(m.Canaries()) > 0 {
		t.Errorf("after its end there are %v, %v, %v", m.Canaries(), left, err)
	}
}

// The users of two canaries of the same size are not the same, so nobody is always on the new version.
func TestSaltOfACanary(t *testing.T) {
	both := 0
	for i := range 1000 {
		user := fmt.Sprint("user", i)
		if (Canary{Server: "mbx3", Percent: 50, Salt: "a"}).Has(user) && (Canary{Server: "mbx3", Percent: 50,
			Salt: "b"}).Has(user) {
			both++
		}
	}
	if both < 150 || both > 350 {
		t.Errorf("%d of 1000 users are on both", both)
	}
}

// A canary sends nobody anywhere once the copies of its database are not the same mail any more, and stays.
func TestCanaryOfOtherCopies(t *testing.T) {
	m, err := NewActiveManager(t.Context(), store.Memory(), nil, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), crowdDatabases)
	}
	var ended []string
	if err == nil {
		err = canaryOf(m, 100, &ended)
	}
	if err != nil {
		t.Fatal(err)
	}
	other := slices.Clone(crowdDatabases)
	for i := range other {
		other[i].Interchangeable = false
	}
	for _, test := range []struct {
		databases []DatabaseOptions
		want      string
	}{{other, "mbx1"}, {crowdDatabases, "mbx3"}} {
		if _, err := m.Configure(t.Context(), test.databases); err != nil {
			t.Fatal(err)
		}
		servers, err := m.leased(t.Context(), "db1", "user1", nil)
		if err != nil || servers[0] != test.want || len(m.Canaries()) != 1 {
			t.Errorf("%q, %v, %+v", servers, err, m.Canaries())
		}
		m.release("db1", "user1")
	}
}

// Whoever is not on a canary comes to its server last, after all other copies.
func TestOthersAvoidTheCanary(t *testing.T) {
	m, err := NewActiveManager(t.Context(), store.Memory(), nil, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), crowdDatabases)
	}
	if err == nil {
		err = m.ChangeCanary(t.Context(), "db1", func(Canary) (Canary, error) {
			return Canary{Name: "v2", Database: "db1", Server: "mbx2", Users: []string{"user1"}}, nil
		}, func(string, func(string) bool) {}, MoveOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string][]string{"user1": {"mbx2", "mbx1", "mbx3"}, "user2": {"mbx1", "mbx3", "mbx2"}} {
		if servers, err := m.leased(t.Context(), "db1", user, nil); err != nil || !slices.Equal(servers, want) {
			t.Errorf("%s: %q, %v, want %q", user, servers, err, want)
		}
	}
}

// userNames returns the names of users.
func userNames(n int) (users []string) {
	for i := range n {
		users = append(users, fmt.Sprint("user", i))
	}
	return users
}

// A canary is refused where it could not be.
func TestRefusedCanaries(t *testing.T) {
	m, err := NewActiveManager(t.Context(), store.Memory(), nil, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), crowdDatabases)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    Canary
		want error
	}{
		{Canary{Database: "db9", Server: "mbx2", Percent: 1}, ErrUnknownName},
		{Canary{Database: "db2", Server: "mbx1", Percent: 1}, ErrNotInterchangeable},
		{Canary{Database: "db1", Server: "mbx9", Percent: 1}, ErrNoCopy},
		{Canary{Database: "db1", Server: "mbx1", Percent: 1}, ErrCanaryActive},
		{Canary{Database: "db1", Server: "mbx2", Percent: 101}, ErrCanaryInvalid},
		{Canary{Database: "db1", Server: "mbx2", Percent: 0.004}, ErrCanaryInvalid},
		{Canary{Database: "db1", Server: "mbx2", Percent: -1, Users: []string{"ann"}}, ErrCanaryInvalid},
		{Canary{Database: "db1", Server: "mbx2", Users: userNames(MaxCanaryUsers + 1)}, ErrCanaryUsers},
	} {
		err := m.ChangeCanary(t.Context(), test.c.Database, func(Canary) (Canary, error) { return test.c, nil },
			func(string, func(string) bool) { t.Error("sessions end") }, MoveOptions{})
		if !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.c, err, test.want)
		}
	}
}

// A sign-in in progress delays the change of a canary if it is of a user whom the change concerns, and only then.
func TestCanaryWaitsForThoseItConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := NewActiveManager(t.Context(), store.Memory(), nil, nil)
		if err == nil {
			_, err = m.Configure(t.Context(), crowdDatabases)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []string{"user1", "user2"} {
			if _, err := m.leased(t.Context(), "db1", user, nil); err != nil {
				t.Fatal(err)
			}
		}
		changed := make(chan error, 1)
		var ended []string
		go func() { changed <- canaryOf(m, 0, &ended, "user1") }()
		synctest.Wait()
		got := make(chan string, 1)
		go func() {
			servers, err := m.leased(t.Context(), "db1", "user1", nil)
			if err != nil {
				servers = []string{err.Error()}
			}
			got <- servers[0]
		}()
		if servers, err := m.lease(t.Context(), "db1", "user3", time.Second, waits(nil)); err != nil ||
			servers[0] != "mbx1" {
			t.Errorf("somebody else: %q, %v", servers, err)
		}
		if synctest.Wait(); len(changed) > 0 || len(got) > 0 {
			t.Error("the change has not waited, or has let the user in")
		}
		m.release("db1", "user1")
		if err := <-changed; err != nil || !slices.Equal(ended, []string{"user1"}) {
			t.Errorf("sessions of %q end, %v", ended, err)
		}
		if at := <-got; at != "mbx3" {
			t.Errorf("the user who has waited is on %s", at)
		}
		tier, err := newTestTier(t.Context(), Options{Servers: []ServerOptions{
			{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}, {Name: "mbx2", Addresses: []string{"192.0.2.2:993"}},
			{Name: "mbx3", Addresses: []string{"192.0.2.3:993"}}}, Databases: crowdDatabases, Active: m,
			Directory: says{directory.Entry{Database: "db1"}}})
		if err != nil {
			t.Fatal(err)
		}
		for user, want := range map[string]string{"user1": "mbx3", "user2": "mbx1"} {
			if r, _, err := tier.Where(t.Context(), directory.Query{User: user}); err != nil || r.Servers[0] != want {
				t.Errorf("%s is on %q, %v", user, r.Servers, err)
			}
		}
	})
}
