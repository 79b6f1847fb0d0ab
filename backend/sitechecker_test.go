package backend

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// siteChecker knows who is in at which server, over all nodes of a site. A node's process tells it of each admission
// and of each end of a session, and waits for the answer before that counts.
type siteChecker struct {
	path  string
	ln    net.Listener
	group sync.WaitGroup
	fence func(node string) // sees to it that a node serves nobody

	mu     sync.Mutex
	inside map[string]map[string]map[string]int // by database, server, and life of a node
	over   map[string]bool                      // lives that have ended: what is still read of them does not count
	conns  map[net.Conn]bool
	counts siteCounts
	wrong  []string // the first ones
}

// siteCounts is what has happened.
type siteCounts struct {
	Admitted, Switched, Wrong                     int
	Moved, Stayed                                 int
	Killed, Stopped, Suspended, Cut, Fenced, Etcd int
}

func newSiteChecker(t *testing.T) *siteChecker {
	t.Helper()
	dir, err := os.MkdirTemp("", "portico-site-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	c := &siteChecker{path: filepath.Join(dir, "checker"), inside: make(map[string]map[string]map[string]int),
		over: make(map[string]bool), conns: make(map[net.Conn]bool)}
	if c.ln, err = net.Listen("unix", c.path); err != nil {
		t.Fatal(err)
	}
	c.group.Go(func() {
		for {
			conn, err := c.ln.Accept()
			if err != nil {
				return
			}
			c.group.Go(func() { c.listen(conn) })
		}
	})
	t.Cleanup(func() {
		c.ln.Close()
		c.mu.Lock()
		for conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		c.group.Wait()
		os.RemoveAll(dir)
	})
	return c
}

// listen answers one connection. Its first line says whose it is.
func (c *siteChecker) listen(conn net.Conn) {
	defer conn.Close()
	c.mu.Lock()
	c.conns[conn] = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.conns, conn)
	}()
	lines := bufio.NewScanner(conn)
	lines.Scan()
	for life := lines.Text(); lines.Scan(); {
		c.hear(life, strings.Fields(lines.Text()))
		if _, err := conn.Write([]byte("\n")); err != nil {
			return
		}
	}
}

// hear takes in what a node says.
func (c *siteChecker) hear(life string, words []string) {
	if words[0] == "fence" {
		c.fence(words[1])
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over[life] {
		return
	}
	servers := c.inside[words[1]]
	switch words[0] {
	case "in":
		c.only(life, words, words[2])
		if servers == nil {
			servers = make(map[string]map[string]int)
			c.inside[words[1]] = servers
		}
		if servers[words[2]] == nil {
			servers[words[2]] = make(map[string]int)
		}
		servers[words[2]][life]++
		c.counts.Admitted++
	case "out":
		if lives := servers[words[2]]; lives[life] > 1 {
			lives[life]--
		} else {
			delete(lives, life)
		}
	case "hook":
		c.only(life, words, "")
		c.counts.Switched++
	}
}

// only notes that something is wrong if users are in to a database at another server than one. The caller holds mu.
func (c *siteChecker) only(life string, words []string, server string) {
	for other, lives := range c.inside[words[1]] {
		if other == server || len(lives) == 0 {
			continue
		}
		if c.counts.Wrong++; len(c.wrong) < 10 {
			said := strings.Join(words, " ")
			c.wrong = append(c.wrong, fmt.Sprintf("%s: %s, while at %s: %v", life, said, other, lives))
		}
	}
}

// ended says that a node's process has ended, and all of its sessions with it.
func (c *siteChecker) ended(life string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over[life] = true
	for _, servers := range c.inside {
		for _, lives := range servers {
			delete(lives, life)
		}
	}
}

// count changes the counts.
func (c *siteChecker) count(change func(*siteCounts)) siteCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
	return c.counts
}

// now returns the counts.
func (c *siteChecker) now() siteCounts { return c.count(func(*siteCounts) {}) }

// in returns how many sessions of a life there are at a database's server.
func (c *siteChecker) in(database, server, life string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inside[database][server][life]
}
