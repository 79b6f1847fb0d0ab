package node

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
)

// crowd is the users of a watched site, who sign in again and again, each four times a second at most.
type crowd struct {
	r    *running
	work sync.WaitGroup
	stop chan struct{}

	mu       sync.Mutex
	signedIn map[string]int // by database
	refused  map[string]int
	answers  map[string]bool // of those that were refused
}

// newCrowd has users sign in until the test ends.
func newCrowd(t testing.TB, r *running) *crowd {
	c := &crowd{r: r, stop: make(chan struct{}), answers: make(map[string]bool)}
	c.forget()
	for _, user := range []string{"anna", "bert", "cleo", "dora", "emil", "finn", "gina", "hugo"} {
		way, _, err := r.current().tier().Where(t.Context(), directory.Query{User: user, Login: user})
		if err != nil {
			t.Fatal(err)
		}
		c.work.Go(func() { c.come(way.Database, user) })
	}
	t.Cleanup(c.leave)
	return c
}

// leave ends it.
func (c *crowd) leave() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.work.Wait()
}

func (c *crowd) come(database, user string) {
	for ticker := time.NewTicker(250 * time.Millisecond); ; {
		select {
		case <-c.stop:
			ticker.Stop()
			return
		case <-ticker.C:
		}
		answer := c.signIn(user)
		c.mu.Lock()
		if strings.HasPrefix(answer, "a OK") {
			c.signedIn[database]++
		} else {
			c.refused[database]++
			c.answers[answer] = true
		}
		c.mu.Unlock()
	}
}

// signIn signs in once, and returns the answer.
func (c *crowd) signIn(user string) string {
	conn, err := net.Dial("tcp", c.r.clients.listeners.addresses()[0].String())
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	lines := bufio.NewScanner(conn)
	lines.Scan() // the greeting
	fmt.Fprintf(conn, "a LOGIN %s secret\r\n", user)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "a ") {
			break
		}
	}
	answer := lines.Text()
	fmt.Fprint(conn, "b LOGOUT\r\n")
	for lines.Scan() {
	}
	return answer
}

// forget begins to count again.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signedIn, c.refused = make(map[string]int), make(map[string]int)
}

// counted returns how often users of a database have signed in, and were refused.
func (c *crowd) counted(database string) (signedIn, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signedIn[database], c.refused[database]
}

// said lists the answers of sign-ins that were refused.
func (c *crowd) said() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.answers))
}

// in waits until each database's users have signed in twenty times since now, and holds that nobody is refused
// meanwhile.
func (c *crowd) in(t testing.TB) {
	t.Helper()
	c.forget()
	for _, database := range []string{"db1", "db2"} {
		c.r.eventually(t, "users of "+database+" sign in", func() bool {
			in, _ := c.counted(database)
			return in >= 20
		})
		if _, refused := c.counted(database); refused > 0 {
			t.Errorf("users of %s were refused %d times: %v", database, refused, c.said())
		}
	}
}
