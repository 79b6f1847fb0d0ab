//go:build unix

package backend

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/configs/store/etcdstore"
)

// siteOptions say how large a site is, and what happens to it.
type siteOptions struct {
	nodes     int
	etcd      int // members of it
	databases int
	users     int           // of each node
	stay      time.Duration // most sessions are shorter
	suspended time.Duration // no node is suspended for longer
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

// testNode is a node of a site, which is started again whenever its process ends.
type testNode struct {
	site   *testSite
	name   string
	trusts bool
	links  []*backendtest.Link // to the members of etcd
	file   string              // see siteNode

	starting sync.Mutex // held while no process may start

	mu     sync.Mutex
	life   string
	group  int           // of its process
	ended  chan struct{} // closed when the process has ended, and the checker knows
	orders io.Writer
	moves  map[string]chan error // by number
	next   int
	dies   int // of the next process; see siteNode
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

// siteClocks are the words that give a process a clock that is an hour ahead or behind.
var siteClocks = sync.OnceValue(func() map[string][]string {
	if exec.Command("unshare", "--time", "--monotonic", "3600", "true").Run() != nil {
		return nil
	}
	return map[string][]string{
		"mx1": {"unshare", "--time", "--monotonic", "3600", "--boottime", "3600"},
		"mx2": {"unshare", "--time", "--monotonic", "7200", "--boottime", "7200"},
	}
})

// start starts the node's next process. The caller holds starting, or nobody else knows the node.
func (n *testNode) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next++
	n.life = fmt.Sprint(n.name, "/", n.next)
	var urls []string
	for _, link := range n.links {
		urls = append(urls, "http://"+link.Address)
	}
	o := n.site.o
	text, _ := json.Marshal(siteNode{Name: n.name, Life: n.life, Endpoints: urls, Checker: n.site.path, File: n.file,
		Databases: o.databases, Users: o.users, Stay: o.stay, Dies: n.dies, Trusts: n.trusts})
	n.dies = 0
	words := append(siteClocks()[n.name], os.Args[0])
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), asSiteNode+"="+string(text), "GORACE=halt_on_error=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	orders, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	n.group, n.orders = cmd.Process.Pid, orders
	n.ended, n.moves = make(chan struct{}), make(map[string]chan error)
	go n.await(cmd, said, n.life, n.ended, n.moves)
}

// await listens to a process until it ends.
func (n *testNode) await(cmd *exec.Cmd, said io.Reader, life string, ended chan struct{}, moves map[string]chan error) {
	defer close(ended)
	moved := func(number string, err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		moves[number] <- err
		delete(moves, number)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		number, why, _ := strings.Cut(rest, " ")
		switch word {
		case "moved":
			moved(number, nil)
		case "stayed":
			moved(number, fmt.Errorf("%s: %s", life, why))
		default:
			n.site.t.Logf("%s: %s", life, lines.Text())
		}
	}
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status > 1 {
		n.site.t.Errorf("%s has ended with status %d", life, status)
	}
	n.site.ended(life)
}

// supervise starts a process whenever one has ended.
func (n *testNode) supervise() {
	for {
		_, ended := n.now()
		<-ended
		n.starting.Lock()
		if n.site.ctx.Err() != nil {
			n.starting.Unlock()
			return
		}
		n.start()
		n.starting.Unlock()
	}
}

// now returns the node's present life, and what is closed when that ends.
func (n *testNode) now() (life string, ended <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life, n.ended
}

func (n *testNode) signal(what syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !closed(n.ended) {
		syscall.Kill(-n.group, what)
	}
}

// kill ends the node's process, and does something before the next one starts.
func (n *testNode) kill(before func()) {
	n.starting.Lock()
	defer n.starting.Unlock()
	n.signal(syscall.SIGKILL)
	_, ended := n.now()
	<-ended
	n.site.count(func(c *siteCounts) { c.Killed++ })
	before()
}

// move has the node move a database, and waits for the result.
func (n *testNode) move(database, server string, within, patience time.Duration) error {
	n.mu.Lock()
	n.next++
	number, result := fmt.Sprint(n.next), make(chan error, 1)
	n.moves[number] = result
	ended, orders := n.ended, n.orders
	n.mu.Unlock()
	fmt.Fprintln(orders, number, database, server, within, patience) // if that fails, it ends
	select {
	case err := <-result:
		return err
	case <-ended:
		return fmt.Errorf("%s has ended", n.name)
	}
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
		s.count(func(c *siteCounts) {
			if err == nil {
				c.Moved++
			} else {
				c.Stayed++
			}
		})
		sleep(ctx, 200*time.Millisecond)
	}
}

// sleep waits for less than d.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(rand.N(d)):
	case <-ctx.Done():
	}
}

// breakNodes does something to one node after the other, until ctx ends. Their processes die at each of their writes.
func (s *testSite) breakNodes(ctx context.Context) {
	write := 0
	for round := 0; ctx.Err() == nil; round++ {
		n := s.nodes[rand.IntN(len(s.nodes))]
		switch round % 3 {
		case 0:
			n.stop()
		case 1:
			n.kill(func() {
				write++
				n.dies = write/2%12 + 1
				if write%2 == 0 {
					n.dies = -n.dies
				}
				if rand.IntN(8) == 0 && !s.o.keeps { // an operator's word
					s.remove(n)
				}
				sleep(ctx, time.Second)
			})
		default:
			n.signal(syscall.SIGSTOP)
			s.count(func(c *siteCounts) { c.Suspended++ })
			sleep(ctx, s.o.suspended)
			n.signal(syscall.SIGCONT)
		}
		sleep(ctx, 2*time.Second)
	}
}

// stop ends the node's process in order. It starts again.
func (n *testNode) stop() {
	n.mu.Lock()
	orders, ended := n.orders, n.ended
	n.mu.Unlock()
	fmt.Fprintln(orders, "stop") // if that fails, it has ended
	<-ended
	n.site.count(func(c *siteCounts) { c.Stopped++ })
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
		sleep(ctx, 3*time.Second)
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
	sleep(ctx, 8*time.Second)
	for _, link := range n.links {
		link.Mend()
	}
}

// breakEtcd does something to one member of etcd after the other, until ctx ends.
func (s *testSite) breakEtcd(ctx context.Context) {
	check := func(err error) {
		if err != nil {
			s.t.Error(err)
		}
	}
	for round := 0; ctx.Err() == nil; round++ {
		i := round % len(s.etcd)
		switch member := s.etcd[i]; rand.IntN(3) {
		case 0:
			check(member.Kill())
			sleep(ctx, 2*time.Second)
			check(member.Start(s.ctx))
		case 1:
			check(member.Freeze())
			sleep(ctx, 5*time.Second)
			check(member.Thaw())
		default:
			s.peers[i].Drop(backendtest.Direction(1 + rand.IntN(3)))
			sleep(ctx, 5*time.Second)
			s.peers[i].Mend()
		}
		s.count(func(c *siteCounts) { c.Etcd++ })
		sleep(ctx, 5*time.Second)
	}
}
