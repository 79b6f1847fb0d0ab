//go:build unix

package peers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// clientTLS returns the clients' configuration; without curves they offer what Go offers, post-quantum ones included.
// There is no session cache, so each connection is a new TLS session.
func clientTLS(caFile string, curves ...tls.CurveID) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + caFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: "localhost",
		CurvePreferences: curves}, nil
}

// client is a signed-in session with a peer.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// signIn opens a session. config is nil for plain text.
func signIn(addr string, config *tls.Config, user string) (*client, error) {
	c, err := connect(context.Background(), addr, config)
	if err != nil {
		return nil, err
	}
	return c, c.logIn(user)
}

// connect returns a client that has read the greeting. If ctx has a deadline, it holds until logIn has ended.
func connect(ctx context.Context, addr string, config *tls.Config) (*client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 4<<10)}
	if _, err := c.in.ReadSlice('\n'); err != nil {
		conn.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	return c, nil
}

// logIn signs a client in. A client that cannot is closed.
func (c *client) logIn(user string) error {
	if err := c.do("a LOGIN " + user + " secret\r\n"); err != nil {
		c.conn.Close()
		return fmt.Errorf("sign-in: %w", err)
	}
	c.conn.SetDeadline(time.Time{})
	return nil
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
		if bytes.HasPrefix(line, []byte("a ")) {
			if !bytes.HasPrefix(line, []byte("a OK")) {
				return fmt.Errorf("answer %q", line)
			}
			return nil
		}
		if err := c.skipLiteral(line); err != nil {
			return err
		}
	}
}

// skipLiteral reads past the literal that a line announces, if it does.
func (c *client) skipLiteral(line []byte) error {
	line, ok := bytes.CutSuffix(line, []byte("}\r\n"))
	if !ok {
		return nil
	}
	size, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, '{')+1:]))
	if err != nil {
		return fmt.Errorf("literal: %w", err)
	}
	_, err = c.in.Discard(size)
	return err
}

// repeat sends a command n times, each after the answer to the one before.
func (c *client) repeat(command string, n int) error {
	for range n {
		if err := c.do(command); err != nil {
			return err
		}
	}
	return nil
}

// signInMany opens sessions, a few at a time. It returns those it has opened even when it fails.
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

func closeAll(clients []*client) {
	for _, c := range clients {
		if c != nil {
			c.conn.Close()
		}
	}
}

// each runs f for all clients at once.
func each(all []*client, f func(*client) error) error {
	var work errgroup.Group
	for _, c := range all {
		work.Go(func() error { return f(c) })
	}
	return work.Wait()
}

// eachOfFew is each with a few at a time.
func eachOfFew(all []*client, f func(*client) error) error {
	var work errgroup.Group
	work.SetLimit(8)
	for _, c := range all {
		work.Go(func() error { return f(c) })
	}
	return work.Wait()
}
