package peers

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sync/errgroup"
)

// client is a signed-in session with a peer.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// signIn opens a session. config is nil for plain text.
func signIn(addr string, config *tls.Config, user string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 512)}
	if _, err := c.in.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if err := c.do("a LOGIN " + user + " secret\r\n"); err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	return c, nil
}

// do sends a command with the tag "a" and reads up to its answer.
func (c *client) do(command string) error {
	if _, err := c.conn.Write([]byte(command)); err != nil {
		return err
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) > 4 && line[0] == 'a' && line[1] == ' ' {
			if !strings.HasPrefix(string(line[2:4]), "OK") {
				return fmt.Errorf("answer %q", line)
			}
			return nil
		}
	}
}

// signInMany opens sessions, a few at a time.
func signInMany(addr string, config *tls.Config, n int) ([]*client, error) {
	clients := make([]*client, n)
	var work errgroup.Group
	work.SetLimit(8)
	for i := range clients {
		work.Go(func() (err error) {
			clients[i], err = signIn(addr, config, fmt.Sprintf("user%d", i))
			return err
		})
	}
	return clients, work.Wait()
}

// noops has every client send n NOOPs, each after the answer to the one before.
func noops(clients []*client, n int) error {
	var work errgroup.Group
	for _, c := range clients {
		work.Go(func() error {
			for range n {
				if err := c.do("a NOOP\r\n"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func closeAll(clients []*client) {
	for _, c := range clients {
		if c != nil {
			c.conn.Close()
		}
	}
}
