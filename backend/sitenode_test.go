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

	mu       sync.Mutex
	stopping bool
	users    int                               // who may be in
	sessions map[string]map[chan struct{}]bool // by database; a channel is closed when its session has to end
	left     *sync.Cond                        // of mu
}

// runSiteNode runs a node until its standard input ends. It says there what it does.
func runSiteNode(text string) {
	p := &siteProcess{sessions: make(map[string]map[chan struct{}]bool)}
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
			Timeout: time.Second, File: p.File, Keep: kept, Failed: late})
		if err != nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	p.etcd = shared
	p.store = &siteStore{Store: shared, dies: p.Dies, trusts: p.Trusts}
	var err error
	p.member, err = cluster.Join(ctx, p.store, cluster.Node{Name: p.Name, Machine: p.Name},
		cluster.Options{Leases: shared, Fenced: p.File == "", Keep: shared.KeepAs, Failed: late})
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
	go p.manager.Run(ctx, FollowOptions{End: p.end, EndUser: func(string) {}, Queues: NewSigninQueues(time.Now),
		Moved: func(string, string, string, bool) {}, UserMoved: func(string, string) {}, Failed: late})
	p.users = p.Users
	for i := range p.users {
		go p.user(ctx, fmt.Sprint("u", i))
	}
}

// kept says which entries a start while etcd is away needs.
func kept(key string) bool {
	return !strings.HasPrefix(key, "acks/") && !strings.HasPrefix(key, "present/")
}

// stop ends the process in order: nobody is in any more, and the site knows that, if etcd can be reached.
func (p *siteProcess) stop() {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	for i := range p.Databases {
		p.end(fmt.Sprint("db", i))
	}
	p.mu.Lock()
	for p.users > 0 {
		p.left.Wait()
	}
	p.mu.Unlock()
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

// user signs in again and again.
func (p *siteProcess) user(ctx context.Context, name string) {
	line := p.dial()
	for p.goesOn() {
		database := fmt.Sprint("db", rand.IntN(p.Databases))
		servers, err := p.manager.lease(ctx, database, name, time.Second, waits(nil))
		if err != nil { // held for too long, or suspended
			time.Sleep(5 * time.Millisecond)
			continue
		}
		line.say("in", database, servers[0])
		end := p.begin(database)
		p.manager.release(database, name)
		stay := time.Duration(rand.Int64N(int64(p.Stay)))
		if rand.IntN(100) == 0 {
			stay *= 100
		}
		select {
		case <-time.After(stay):
		case <-end:
		}
		line.say("out", database, servers[0])
		p.over(database, end)
	}
}

// goesOn says whether a user may sign in again. One that may not is gone.
func (p *siteProcess) goesOn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		p.users--
		p.left.Broadcast()
	}
	return !p.stopping
}

// begin notes a session. What it returns is closed when the session has to end.
func (p *siteProcess) begin(database string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[database] == nil {
		p.sessions[database] = make(map[chan struct{}]bool)
	}
	end := make(chan struct{})
	p.sessions[database][end] = true
	if p.stopping {
		close(end)
	}
	return end
}

// over notes that a session has ended.
func (p *siteProcess) over(database string, end chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions[database], end)
	p.left.Broadcast()
}

// end ends a database's sessions, and returns when none is left.
func (p *siteProcess) end(database string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for end := range p.sessions[database] {
		if !closed(end) {
			close(end)
		}
	}
	for len(p.sessions[database]) > 0 {
		p.left.Wait()
	}
}

// move obeys a command: its number, a database, a server, how long it may take, and how long a node may be absent.
func (p *siteProcess) move(words []string) {
	within, _ := time.ParseDuration(words[3])
	patience, _ := time.ParseDuration(words[4])
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	o := MoveOptions{End: p.end, Patience: patience}
	if p.File == "" { // one that starts while etcd is away must not be expelled
		o.Fence = p.fence
	}
	if err := p.manager.Move(ctx, words[1], words[2], o); err != nil {
		fmt.Println("stayed", words[0], err)
		return
	}
	fmt.Println("moved", words[0])
}

// fence has another node killed, and expels it.
func (p *siteProcess) fence(ctx context.Context, node cluster.Node) error {
	p.dial().say("fence", node.Name)
	return cluster.Expel(ctx, p.store, node)
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
		killSelf()
	}
	return func() {
		if n == s.dies {
			killSelf()
		}
	}
}

// killSelf ends this process, and the one that has set its clock.
func killSelf() {
	syscall.Kill(-syscall.Getpgrp(), syscall.SIGKILL)
	select {}
}
