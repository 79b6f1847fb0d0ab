//go:build unix

package backend

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portico/backend/directory"
	"portico/backend/move"
	"portico/cluster"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
)

// asSiteNode in the environment makes the test binary a node of a site; its value is a siteNode.
const asSiteNode = "PORTICO_TEST_SITE_NODE"

func TestMain(m *testing.M) {
	if text := os.Getenv(asSiteNode); text != "" {
		runSiteNode(text)
	}
	os.Exit(m.Run())
}

var siteServers = []string{"mbx1", "mbx2", "mbx3"}

// siteHome is where a user goes who was moved, and is not any more.
const siteHome = "home"

// siteNode is what a node's process is started with.
type siteNode struct {
	Name      string
	Life      string // of its process
	Endpoints []string
	Checker   string // the path of its socket
	File      string // what it knows of etcd, for a start while that is away; "" for none
	Databases int    // every second one has a hook
	Users     int
	Stay      time.Duration // most sessions are shorter
	Dies      int           // at which of its writes: before it if negative, 0 for never
	Trusts    bool          // it does not wait for nodes whose lease is over
}

// siteProcess is a node that lets users in, without any servers behind it.
type siteProcess struct {
	siteNode
	etcd    *etcdstore.Store
	store   store.Store
	member  *cluster.Member
	manager *ActiveManager
	tier    *Tier

	users   sync.WaitGroup
	signOut func() // ends them

	mu       sync.Mutex
	sessions map[*siteSession]bool
	left     *sync.Cond // of mu
}

// siteSession is a user who is in.
type siteSession struct {
	user, database string
	ends           chan struct{} // closed when it has to end
}

// runSiteNode runs a node until its standard input ends. It says there what it does.
func runSiteNode(text string) {
	p := &siteProcess{sessions: make(map[*siteSession]bool)}
	p.left = sync.NewCond(&p.mu)
	if err := json.Unmarshal([]byte(text), &p.siteNode); err != nil {
		p.fail(err)
	}
	started := make(chan struct{})
	go func() {
		p.run(context.Background())
		close(started)
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		order := strings.Fields(lines.Text())
		go func() {
			<-started
			if order[0] == "stop" {
				p.stop()
			}
			p.move(order)
		}()
	}
	os.Exit(0)
}

func (p *siteProcess) fail(err error) {
	fmt.Println("failed:", err)
	os.Exit(1)
}

func (p *siteProcess) run(ctx context.Context) {
	late := func(err error) { fmt.Println("note:", err) }
	var shared *etcdstore.Store
	for shared == nil {
		var err error
		shared, err = etcdstore.Open(ctx, etcdstore.Options{Endpoints: p.Endpoints, Prefix: "/portico",
			Timeout: time.Second, File: p.File, Passing: []string{"present/"}, Failed: late})
		if err != nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	p.etcd = shared
	p.store = &siteStore{Store: shared, dies: p.Dies, die: p.die, trusts: p.Trusts}
	var err error
	p.member, err = cluster.Join(ctx, p.store, cluster.Node{Name: p.Name, Machine: p.Name},
		cluster.Options{Leases: shared, Fenced: p.File == "", KeepAs: shared.KeepAs, Failed: late})
	if err != nil {
		p.fail(err)
	}
	go p.member.Run(ctx)
	if p.manager, err = NewActiveManager(ctx, p.store, move.NewMembers(p.store, p.member), late); err != nil {
		p.fail(err)
	}
	var databases []DatabaseOptions
	for i := range p.Databases {
		o := DatabaseOptions{Name: fmt.Sprint("db", i), Copies: siteServers}
		if i%2 == 1 {
			o.Hook = siteHook{p.dial()}
		}
		databases = append(databases, o)
	}
	if _, err := p.manager.Configure(ctx, databases); err != nil {
		p.fail(err)
	}
	var servers []ServerOptions
	for _, name := range siteServers {
		servers = append(servers, ServerOptions{Name: name, Addresses: []string{"192.0.2.1:993"}})
	}
	p.tier, err = newTestTier(ctx, Options{Servers: servers, Databases: databases, Active: p.manager, Directory: p})
	if err != nil {
		p.fail(err)
	}
	go p.manager.Run(ctx, FollowOptions{End: p.end, EndUser: p.endUser, Queues: NewSigninQueues(time.Now),
		Moved: func(string, string, string, bool) {}, UserMoved: func(string, string) {}, Failed: late})
	signedIn, signOut := context.WithCancel(ctx)
	p.signOut = signOut
	for i := range p.Users {
		p.users.Go(func() { p.user(signedIn, fmt.Sprint("u", i)) })
	}
}

// stop ends the process in order: nobody is in any more, and the site knows that, if etcd can be reached.
func (p *siteProcess) stop() {
	p.signOut()
	p.users.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := p.etcd.State().Err
	if err == nil {
		err = p.member.Leave(ctx)
	}
	if err != nil {
		fmt.Println("note:", err)
	}
	os.Exit(0)
}

// siteLine is a connection to the checker.
type siteLine struct {
	mu     sync.Mutex
	conn   net.Conn
	answer *bufio.Reader
}

func (p *siteProcess) dial() *siteLine {
	conn, err := net.Dial("unix", p.Checker)
	if err == nil {
		_, err = io.WriteString(conn, p.Life+"\n")
	}
	if err != nil {
		p.fail(err)
	}
	return &siteLine{conn: conn, answer: bufio.NewReader(conn)}
}

// say tells the checker something, and waits until it has understood.
func (l *siteLine) say(words ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.conn, strings.Join(words, " ")+"\n")
	if err == nil {
		_, err = l.answer.ReadByte()
	}
	if err != nil { // the test is over
		os.Exit(0)
	}
}

// Lookup implements directory.Source. It says in which database a user is who was not moved.
func (p *siteProcess) Lookup(_ context.Context, q directory.Query) (directory.Entry, error) {
	var names []string
	for i := range p.Databases {
		names = append(names, fmt.Sprint("db", i))
	}
	return directory.Entry{Database: NewRouter(names).Database(q.User)}, nil
}

// user signs in again and again.
func (p *siteProcess) user(ctx context.Context, name string) {
	line := p.dial()
	here, _ := p.Lookup(ctx, directory.Query{User: name})
	for ctx.Err() == nil {
		route, err := p.tier.Route(ctx, directory.Query{User: name}, nil)
		if err != nil { // held for too long, or suspended
			time.Sleep(5 * time.Millisecond)
			continue
		}
		line.say("in", name, route.Database, route.Servers[0], here.Database)
		session := p.begin(route)
		p.tier.Done(route)
		stay := rand.N(p.Stay)
		if rand.IntN(100) == 0 {
			stay *= 100
		}
		select {
		case <-time.After(stay):
		case <-session.ends:
		case <-ctx.Done():
		}
		line.say("out", name, route.Database, route.Servers[0])
		p.over(session)
	}
}

func (p *siteProcess) begin(r Route) *siteSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &siteSession{r.User, r.Database, make(chan struct{})}
	p.sessions[s] = true
	return s
}

func (p *siteProcess) over(s *siteSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
	p.left.Broadcast()
}

// end ends a database's sessions, and returns when none is left.
func (p *siteProcess) end(database string) {
	p.endThose(func(s *siteSession) bool { return s.database == database })
}

// endUser does the same of a user's.
func (p *siteProcess) endUser(user string) {
	p.endThose(func(s *siteSession) bool { return s.user == user })
}

func (p *siteProcess) endThose(concerned func(*siteSession) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		none := true
		for s := range p.sessions {
			if !concerned(s) {
				continue
			}
			if none = false; !closed(s.ends) {
				close(s.ends)
			}
		}
		if none {
			return
		}
		p.left.Wait()
	}
}

// move obeys a command: its number, a database or a user, where to, how long it may take, and how long a node may be
// absent when a database moves.
func (p *siteProcess) move(words []string) {
	within, _ := time.ParseDuration(words[3])
	patience, _ := time.ParseDuration(words[4])
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := p.moveOne(ctx, words[1], words[2], patience); err != nil {
		fmt.Println("stayed", words[0], err)
		return
	}
	fmt.Println("moved", words[0])
}

func (p *siteProcess) moveOne(ctx context.Context, what, to string, patience time.Duration) error {
	if strings.HasPrefix(what, "u") {
		return p.manager.MoveUser(ctx, what, strings.TrimPrefix(to, siteHome), p.endUser)
	}
	o := MoveOptions{End: p.end, Patience: patience}
	if p.File == "" { // one that starts while etcd is away must not be expelled
		o.Fence = p.fence
	}
	return p.manager.Move(ctx, what, to, o)
}

// fence has another node killed, and expels it.
func (p *siteProcess) fence(ctx context.Context, node cluster.Node) error {
	p.dial().say("fence", node.Name)
	_, err := cluster.Expel(ctx, p.store, node)
	return err
}

// siteHook tells the checker that the storage of a database switches now.
type siteHook struct{ *siteLine }

func (h siteHook) Deactivate(_ context.Context, database, _, _ string) error {
	h.say("hook", database)
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	return nil
}

func (h siteHook) Activate(_ context.Context, database, _, _ string) error {
	h.say("hook", database)
	return nil
}

// siteStore is a site's store as a node has it that dies at a write, or trusts leases.
type siteStore struct {
	store.Store
	dies   int
	die    func(write int)
	trusts bool
	writes atomic.Int64
}

// List implements store.Store. With trust, a node whose lease is over is not registered.
func (s *siteStore) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	all, err := s.Store.List(ctx, prefix)
	if !s.trusts || prefix != "nodes/" {
		return all, err
	}
	var trusted []store.Entry
	for _, e := range all {
		_, err := s.Get(ctx, "present/"+strings.TrimPrefix(e.Key, prefix))
		if !errors.Is(err, store.ErrNotFound) {
			trusted = append(trusted, e)
		}
	}
	return trusted, err
}

// CompareAndSet implements store.Store.
func (s *siteStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	return siteWriter{s, s.Store}.CompareAndSet(ctx, key, revision, value)
}

// Delete implements store.Store.
func (s *siteStore) Delete(ctx context.Context, key string, revision uint64) error {
	return siteWriter{s, s.Store}.Delete(ctx, key, revision)
}

// While implements store.Store.
func (s *siteStore) While(key string, revision uint64) store.Writer {
	return siteWriter{s, s.Store.While(key, revision)}
}

type siteWriter struct {
	s  *siteStore
	to store.Writer
}

// CompareAndSet implements store.Writer.
func (w siteWriter) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	defer w.s.write()()
	return w.to.CompareAndSet(ctx, key, revision, value)
}

// Delete implements store.Writer.
func (w siteWriter) Delete(ctx context.Context, key string, revision uint64) error {
	defer w.s.write()()
	return w.to.Delete(ctx, key, revision)
}

// write counts a write. It kills this process before it, or what it returns does after it.
func (s *siteStore) write() (after func()) {
	n := int(s.writes.Add(1))
	if n == -s.dies {
		s.die(s.dies)
	}
	return func() {
		if n == s.dies {
			s.die(s.dies)
		}
	}
}

// die ends this process, and the one that has set its clock.
func (p *siteProcess) die(write int) {
	p.dial().say("dies", fmt.Sprint(write))
	syscall.Kill(-syscall.Getpgrp(), syscall.SIGKILL)
	select {}
}
