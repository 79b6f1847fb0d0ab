package backend

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// siteChecker knows who is in where, over all nodes of a site: a database's users at a server, and a user at a server
// with a database. A node's process tells it of each admission and of each end of a session, and waits for the answer
// before that counts.
type siteChecker struct {
	path  string
	ln    net.Listener
	group sync.WaitGroup
	fence func(node string) // sees to it that a node serves nobody

	mu     sync.Mutex
	inside map[string]map[string]map[string]int // by database or user, place, and life of a node
	over   map[string]bool                      // lives that have ended: what is still read of them does not count
	conns  map[net.Conn]bool
	deaths map[int]bool // at which of their writes processes have died; see siteNode
	counts siteCounts
	wrong  []string // the first ones
}

// siteCounts is what has happened.
type siteCounts struct {
	Admitted, Elsewhere, Switched, Wrong int // Elsewhere are those who were moved to another database
	Moved, Stayed                        int
	UsersMoved, UsersStayed              int
	Killed, Died, Writes                 int // Died at a write of their own, at Writes different ones
	Stopped, Cut, Fenced                 int
	Suspended, Longest                   int // Longest as long as nodes ever are
	Etcd, EtcdAway                       int // members of it, and the whole of it
}

func newSiteChecker(t *testing.T) *siteChecker {
	t.Helper()
	dir, err := os.MkdirTemp("", "portico-site-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	c := &siteChecker{path: filepath.Join(dir, "checker"), inside: make(map[string]map[string]map[string]int),
		over: make(map[string]bool), conns: make(map[net.Conn]bool), deaths: make(map[int]bool)}
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
	switch words[0] {
	case "in": // a user, who is in a database, at a server, and where this user would be without a move
		user, database, server, home := words[1], words[2], words[3], words[4]
		c.enter(life, database, server)
		c.enter(life, user, database+"@"+server)
		if c.counts.Admitted++; database != home {
			c.counts.Elsewhere++
		}
	case "out":
		user, database, server := words[1], words[2], words[3]
		c.leave(life, database, server)
		c.leave(life, user, database+"@"+server)
	case "hook":
		c.only(life, words[1], "a switch of the storage")
		c.counts.Switched++
	case "dies":
		c.counts.Died++
		write, _ := strconv.Atoi(words[1])
		c.deaths[write] = true
		c.counts.Writes = len(c.deaths)
	}
}

// enter notes that somebody is in to what may be at one place alone. The caller holds mu.
func (c *siteChecker) enter(life, what, place string) {
	c.only(life, what, place)
	places := c.inside[what]
	if places == nil {
		places = make(map[string]map[string]int)
		c.inside[what] = places
	}
	if places[place] == nil {
		places[place] = make(map[string]int)
	}
	places[place][life]++
}

// leave ends what enter has begun. The caller holds mu.
func (c *siteChecker) leave(life, what, place string) {
	if lives := c.inside[what][place]; lives[life] > 1 {
		lives[life]--
	} else {
		delete(lives, life)
	}
}

// only notes that something is wrong if somebody is in at another place. The caller holds mu.
func (c *siteChecker) only(life, what, place string) {
	for other, lives := range c.inside[what] {
		if other == place || len(lives) == 0 {
			continue
		}
		if c.counts.Wrong++; len(c.wrong) < 10 {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: %s: %s, while at %s: %v", life, what, place, other, lives))
		}
	}
}

// ended says that a node's process has ended, and all of its sessions with it.
func (c *siteChecker) ended(life string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over[life] = true
	for _, places := range c.inside {
		for _, lives := range places {
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

// in returns how many sessions of a life there are to a database or of a user, at a place.
func (c *siteChecker) in(what, place, life string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inside[what][place][life]
}

// nextDeath returns the next write at which no process has died yet, or the i-th of all.
func (c *siteChecker) nextDeath(i int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range siteWrites {
		if !c.deaths[writeOf(i)] {
			break
		}
		i++
	}
	return writeOf(i)
}

// siteWrites is at how many different writes processes die: before and after each of the first twelve.
const siteWrites = 24

// writeOf counts these writes from 0, without end.
func writeOf(i int) int {
	if i %= siteWrites; i%2 == 0 {
		return -(i/2 + 1)
	}
	return i/2 + 1
}
