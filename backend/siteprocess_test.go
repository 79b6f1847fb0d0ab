//go:build unix

package backend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"portico/backend/backendtest"
)

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
	cmd.Env = append(os.Environ(), asSiteNode+"="+string(text), "GORACE=halt_on_error=1 atexit_sleep_ms=0")
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

// move has the node move a database or a user, and waits for the result.
func (n *testNode) move(what, to string, within, patience time.Duration) error {
	n.mu.Lock()
	n.next++
	number, result := fmt.Sprint(n.next), make(chan error, 1)
	n.moves[number] = result
	ended, orders := n.ended, n.orders
	n.mu.Unlock()
	fmt.Fprintln(orders, number, what, to, within, patience) // if that fails, it ends
	select {
	case err := <-result:
		return err
	case <-ended:
		return fmt.Errorf("%s has ended", n.name)
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
