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
	store  store.Store
	users  []string
	change func(*crowdNode, context.Context) error // moves some of them

	mu              sync.Mutex
	in              map[string]map[*crowdNode]map[string]int // by user, node and where
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
	n.active = crowdManager(t, s, name)
	var servers []ServerOptions
	for i := range 3 {
		servers = append(servers, ServerOptions{Name: fmt.Sprint("mbx", i+1),
			Addresses: []string{fmt.Sprintf("192.0.2.%d:993", i+1)}})
	}
	var err error
	if n.tier, err = newTestTier(n.ctx, Options{Servers: servers, Databases: crowdDatabases, Active: n.active,
		Directory: c}); err != nil {
		t.Fatal(err)
	}
	n.work.Go(func() { n.active.Run(n.ctx, n.follows()) })
	for _, user := range c.users {
		n.work.Go(func() { n.signsIn(user) })
	}
	n.work.Go(n.keepsMoving)
	return n
}

// crowdDatabases are those of the nodes.
var crowdDatabases = []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2", "mbx3"}, Interchangeable: true},
	{Name: "db2", Copies: []string{"mbx1"}}}

func crowdManager(t *testing.T, s store.Store, name string) *ActiveManager {
	t.Helper()
	m, err := NewActiveManager(t.Context(), s, member(t, s, name), nil)
	if err == nil {
		_, err = m.Configure(t.Context(), crowdDatabases)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// follows is what a node does when another one changes something.
func (n *crowdNode) follows() FollowOptions {
	return FollowOptions{EndUser: n.end, EndUsers: n.endUsers, UserMoved: func(string, string) {},
		CanaryChanged: func(Canary) {}, Failed: func(error) {}, Queues: NewSigninQueues(time.Now)}
}

// endUsers ends the sessions of some users.
func (n *crowdNode) endUsers(_ string, concerned func(string) bool) {
	for _, user := range n.crowd.users {
		if concerned(user) {
			n.end(user)
		}
	}
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
		where := r.Database + "/" + r.Servers[0]
		n.crowd.enters(n, user, where)
		n.tier.Done(r)
		select {
		case <-kick:
			idle(n.ctx, time.Second)
		case <-time.After(rand.N(20 * time.Second)):
		case <-n.ctx.Done():
		}
		n.crowd.leaves(n, user, where)
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

// keepsMoving moves users as an operator does.
func (n *crowdNode) keepsMoving() {
	for n.ctx.Err() == nil {
		idle(n.ctx, 10*time.Second)
		ctx, cancel := context.WithTimeout(n.ctx, time.Minute)
		err := n.crowd.change(n, ctx)
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
		c.change = func(n *crowdNode, ctx context.Context) error {
			user, to := c.users[rand.IntN(len(c.users))], []string{"", "db1", "db2"}[rand.IntN(3)]
			return n.active.MoveUser(ctx, user, to, n.end)
		}
		c.moves(t)
	})
}

// moves has three nodes move users, and one after the other die.
func (c *crowd) moves(t *testing.T) {
	t.Helper()
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
	for _, n := range nodes {
		c.kill(n)
	}
	c.compare(t, nodes)
	if c.wrong > 0 || c.moved < 100 || c.admitted < 1000 {
		t.Errorf("%d sign-ins, %d in a second place, %d moves", c.admitted, c.wrong, c.moved)
	}
	t.Logf("%d sign-ins, %d moves, %d failed", c.admitted, c.moved, c.failed)
}

// compare compares what the next lives of nodes know of the users with the store.
func (c *crowd) compare(t *testing.T, nodes []*crowdNode) {
	t.Helper()
	var last []*ActiveManager
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, n := range nodes {
		m := crowdManager(t, c.store, n.name)
		running.Go(func() { m.Run(ctx, n.follows()) })
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
	canary, err := c.store.Get(t.Context(), canaryKey+"db1")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	for i, m := range last {
		if is, held, _ := m.canaryRecord("db1"); is.At != string(canary.Value) || held {
			t.Errorf("node %d has the canary %q, held %v, the store %q", i, is.At, held, canary.Value)
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
