package backend

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/directory"
	"portico/backend/move"
	"portico/configs/store"
)

var errDead = errors.New("the process is dead")

// mortal is a store as a process sees it until ctx ends.
type mortal struct {
	store.Store
	ctx context.Context
}

func (s mortal) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return mortalWriter{s.Store, s.ctx}.CompareAndSet(ctx, key, revision, value)
}

func (s mortal) Delete(ctx context.Context, key string, revision uint64) error {
	return mortalWriter{s.Store, s.ctx}.Delete(ctx, key, revision)
}

func (s mortal) While(key string, revision uint64) store.Writer {
	return mortalWriter{s.Store.While(key, revision), s.ctx}
}

type mortalWriter struct {
	store.Writer
	ctx context.Context
}

func (w mortalWriter) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if w.ctx.Err() != nil {
		return 0, errDead
	}
	return w.Writer.CompareAndSet(ctx, key, revision, value)
}

func (w mortalWriter) Delete(ctx context.Context, key string, revision uint64) error {
	if w.ctx.Err() != nil {
		return errDead
	}
	return w.Writer.Delete(ctx, key, revision)
}

// crowd is users who sign in to several nodes at once, and where they are.
type crowd struct {
	store store.Store
	users []string

	mu              sync.Mutex
	in              map[string]map[*crowdNode]map[string]int // by user, node and database
	admitted, wrong int
	moved, failed   int
}

// crowdNode is one life of a node.
type crowdNode struct {
	crowd  *crowd
	name   string
	ctx    context.Context
	die    func()
	active *ActiveManager
	tier   *Tier
	work   sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]int           // by user
	kick     map[string]chan struct{} // closed when a user's sessions have to end
}

// Lookup says that everybody is in db1.
func (c *crowd) Lookup(context.Context, directory.Query) (directory.Entry, error) {
	return directory.Entry{Database: "db1"}, nil
}

// start begins the next life of a node.
func (c *crowd) start(t *testing.T, name string) *crowdNode {
	n := &crowdNode{crowd: c, name: name, sessions: make(map[string]int), kick: make(map[string]chan struct{})}
	for _, user := range c.users {
		n.kick[user] = make(chan struct{})
	}
	n.ctx, n.die = context.WithCancel(context.Background())
	s := mortal{c.store, n.ctx}
	n.active = managerOf(t, s, member(t, s, name), nil, "mbx1")
	var err error
	n.tier, err = newTestTier(n.ctx, Options{
		Servers: []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}},
			{Name: "db2", Copies: []string{"mbx1"}}},
		Active: n.active, Directory: c,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.work.Go(func() {
		n.active.Run(n.ctx, FollowOptions{EndUser: n.end, UserMoved: func(string, string) {}, Failed: func(error) {},
			Queues: NewSigninQueues(time.Now)})
	})
	for _, user := range c.users {
		n.work.Go(func() { n.signsIn(user) })
	}
	n.work.Go(n.moves)
	return n
}

func idle(ctx context.Context, most time.Duration) {
	select {
	case <-time.After(rand.N(most)):
	case <-ctx.Done():
	}
}

// signsIn has a user come and go.
func (n *crowdNode) signsIn(user string) {
	for n.ctx.Err() == nil {
		idle(n.ctx, time.Second)
		r, err := n.tier.Route(n.ctx, directory.Query{User: user}, nil)
		if err != nil {
			continue
		}
		idle(n.ctx, time.Second/10)
		n.mu.Lock()
		n.sessions[user]++
		kick := n.kick[user]
		n.mu.Unlock()
		n.crowd.enters(n, user, r.Database)
		n.tier.Done(r)
		select {
		case <-kick:
			idle(n.ctx, time.Second)
		case <-time.After(rand.N(20 * time.Second)):
		case <-n.ctx.Done():
		}
		n.crowd.leaves(n, user, r.Database)
		n.mu.Lock()
		n.sessions[user]--
		n.mu.Unlock()
	}
}

// end ends the sessions of a user.
func (n *crowdNode) end(user string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.kick[user])
	n.kick[user] = make(chan struct{})
	for n.sessions[user] > 0 && n.ctx.Err() == nil {
		n.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		n.mu.Lock()
	}
}

// moves moves users as an operator does.
func (n *crowdNode) moves() {
	for n.ctx.Err() == nil {
		idle(n.ctx, 10*time.Second)
		ctx, cancel := context.WithTimeout(n.ctx, time.Minute)
		user, to := n.crowd.users[rand.IntN(len(n.crowd.users))], []string{"", "db1", "db2"}[rand.IntN(3)]
		err := n.active.MoveUser(ctx, user, to, n.end)
		cancel()
		n.crowd.mu.Lock()
		if err == nil {
			n.crowd.moved++
		} else {
			n.crowd.failed++
		}
		n.crowd.mu.Unlock()
	}
}

func (c *crowd) enters(n *crowdNode, user, database string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.ctx.Err() != nil {
		return
	}
	for _, databases := range c.in[user] {
		for other, sessions := range databases {
			if other != database && sessions > 0 {
				c.wrong++
			}
		}
	}
	if c.in[user] == nil {
		c.in[user] = make(map[*crowdNode]map[string]int)
	}
	if c.in[user][n] == nil {
		c.in[user][n] = make(map[string]int)
	}
	c.in[user][n][database]++
	c.admitted++
}

func (c *crowd) leaves(n *crowdNode, user, database string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.in[user][n]; at != nil { // it has not died
		at[database]--
	}
}

// kill ends a node between any two of its instructions.
func (c *crowd) kill(n *crowdNode) {
	c.mu.Lock()
	n.die()
	for _, nodes := range c.in {
		delete(nodes, n)
	}
	c.mu.Unlock()
	n.work.Wait()
}

// Users that several nodes move are never in two databases, also if the mover dies. In the end all nodes have them in
// the same database, and remember nothing more of them.
func TestUsersAreNeverInTwoDatabases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{store: store.Memory(), users: []string{"ann", "bert", "ann/x"},
			in: make(map[string]map[*crowdNode]map[string]int)}
		defer c.store.Close()
		var nodes []*crowdNode
		for i := range 3 {
			nodes = append(nodes, c.start(t, fmt.Sprint("mx", i)))
		}
		for range 60 {
			idle(t.Context(), 30*time.Second)
			i := rand.IntN(len(nodes))
			c.kill(nodes[i])
			idle(t.Context(), 30*time.Second)
			nodes[i] = c.start(t, nodes[i].name)
		}
		c.compare(t, nodes)
		if c.wrong > 0 || c.moved < 100 || c.admitted < 1000 {
			t.Errorf("%d sign-ins, %d in a second database, %d moves", c.admitted, c.wrong, c.moved)
		}
		t.Logf("%d sign-ins, %d moves, %d failed", c.admitted, c.moved, c.failed)
	})
}

// compare has all nodes die, and compares what their next lives know of the users with the store.
func (c *crowd) compare(t *testing.T, nodes []*crowdNode) {
	t.Helper()
	for _, n := range nodes {
		c.kill(n)
	}
	var last []*ActiveManager
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, n := range nodes {
		m := managerOf(t, c.store, member(t, c.store, n.name), nil, "mbx1")
		running.Go(func() {
			m.Run(ctx, FollowOptions{EndUser: func(string) {}, UserMoved: func(string, string) {},
				Queues: NewSigninQueues(time.Now)})
		})
		last = append(last, m)
	}
	time.Sleep(time.Minute)
	for _, user := range c.users {
		e, err := c.store.Get(t.Context(), movedUserKey+user)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		for i, m := range last {
			if err != nil || m.movedTo(user) != string(e.Value) || m.users[user] != nil {
				t.Errorf("node %d has %s in %q and %+v, the store in %q, %v", i, user, m.movedTo(user), m.users[user],
					e.Value, err)
			}
		}
	}
	cancel()
	running.Wait()
}

// No more users are moved than every node can remember. Those who are can still be moved on and back.
func TestTooManyMovedUsers(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	for i := range maxMovedUsers {
		if _, err := s.CompareAndSet(t.Context(), fmt.Sprint(movedUserKey, "user", i), 0, []byte("db1")); err != nil {
			t.Fatal(err)
		}
	}
	m := manager(t, s)
	if n := len(m.users); n > 0 {
		t.Errorf("%d users are held or counted", n)
	}
	if err := m.MoveUser(t.Context(), "ann", "db1", nobody.End); !errors.Is(err, ErrTooManyMoved) ||
		!strings.Contains(err.Error(), "50000 users have been moved already") {
		t.Error(err)
	}
	for _, step := range [][2]string{{"user7", "db2"}, {"user7", ""}, {"ann", "db1"}} {
		if err := m.MoveUser(t.Context(), step[0], step[1], nobody.End); err != nil || m.movedTo(step[0]) != step[1] {
			t.Errorf("%s is in %q: %v", step[0], m.movedTo(step[0]), err)
		}
	}
}

// A user whose record says that a move has not ended is not let in, until the next move.
func TestSuspendedUsers(t *testing.T) {
	s := store.Memory()
	defer s.Close()
	suspended := move.Text(move.Record{Phase: move.Suspended, At: "db1", Between: []string{"db1", "db2"}})
	if _, err := s.CompareAndSet(t.Context(), movedUserKey+"ann", 0, []byte(suspended)); err != nil {
		t.Fatal(err)
	}
	m := manager(t, s)
	if _, err := m.leased(t.Context(), "db1", "ann", nil); !errors.Is(err, ErrUserSuspended) {
		t.Errorf("a sign-in: %v", err)
	}
	if err := m.MoveUser(t.Context(), "ann", "db2", nobody.End); err != nil {
		t.Fatal(err)
	}
	if _, err := m.leased(t.Context(), "db2", "ann", nil); err != nil {
		t.Errorf("a sign-in: %v", err)
	}
}
