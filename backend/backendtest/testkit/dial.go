package testkit

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// Conn is a client that speaks raw IMAP. Every method fails the test, with what
// was said so far, if it does not get what it wants in time. It belongs to the
// test's goroutine.
type Conn struct {
	t        testing.TB
	conn     net.Conn
	br       *bufio.Reader
	said     bytes.Buffer
	patience time.Duration
}

// Dial connects to addr, with TLS at once if there is a configuration. The
// connection is closed with the test.
func Dial(t testing.TB, addr string, config *tls.Config) *Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(t, conn)
	if config != nil {
		c.StartTLS(config)
	}
	return c
}

// NewConn is Dial for a connection that is there already.
func NewConn(t testing.TB, conn net.Conn) *Conn {
	c := &Conn{t: t, conn: conn, br: bufio.NewReader(conn), patience: Patience}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// SetPatience bounds each of the following waits instead of Patience.
func (c *Conn) SetPatience(d time.Duration) { c.patience = d }

// NetConn is the connection itself, TLS included.
func (c *Conn) NetConn() net.Conn { return c.conn }

// StartTLS turns the connection to TLS now. Bytes that came early are an error.
func (c *Conn) StartTLS(config *tls.Config) {
	c.t.Helper()
	if n := c.br.Buffered(); n > 0 {
		early, _ := c.br.Peek(n)
		c.fail("start TLS: the server sent %q before", early)
	}
	conn := tls.Client(c.conn, config)
	c.conn.SetDeadline(time.Now().Add(c.patience))
	if err := conn.Handshake(); err != nil {
		c.fail("start TLS: %v", err)
	}
	c.conn = conn
	c.br.Reset(conn)
}

// Send sends one line; CR LF is added.
func (c *Conn) Send(line string) {
	c.t.Helper()
	c.SendRaw(line + "\r\n")
}

// Sendf is Send with a format.
func (c *Conn) Sendf(format string, args ...any) {
	c.t.Helper()
	c.Send(fmt.Sprintf(format, args...))
}

// SendRaw sends bytes as they are, in one write.
func (c *Conn) SendRaw(data string) {
	c.t.Helper()
	fmt.Fprintf(&c.said, "C: %s\n", brief(data))
	c.conn.SetWriteDeadline(time.Now().Add(c.patience))
	if _, err := io.WriteString(c.conn, data); err != nil {
		c.fail("send %s: %v", brief(data), err)
	}
}

// ReadLine returns the next line without its CR LF.
func (c *Conn) ReadLine() string {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(c.patience))
	line, err := c.br.ReadString('\n')
	if err != nil {
		c.fail("read a line: %v (after %q)", err, line)
	}
	fmt.Fprintf(&c.said, "S: %s\n", brief(line))
	if !strings.HasSuffix(line, "\r\n") {
		c.fail("line without CR: %q", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// ReadN returns the next n bytes, a literal's for example.
func (c *Conn) ReadN(n int) []byte {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(c.patience))
	data := make([]byte, n)
	if got, err := io.ReadFull(c.br, data); err != nil {
		c.fail("read %d bytes: %v (got %d)", n, err, got)
	}
	fmt.Fprintf(&c.said, "S: (%d bytes)\n", n)
	return data
}

// Expect reads the next line and wants it to match the pattern, in which * stands
// for anything. It returns the line.
func (c *Conn) Expect(pattern string) string {
	c.t.Helper()
	line := c.ReadLine()
	if !Match(pattern, line) {
		c.fail("got %q, want %q", line, pattern)
	}
	return line
}

// ReadUntilTagged returns all lines up to and including the one that begins with
// the tag. Lines inside literals count as lines: read those with ReadN.
func (c *Conn) ReadUntilTagged(tag string) []string {
	c.t.Helper()
	var lines []string
	for {
		line := c.ReadLine()
		lines = append(lines, line)
		if strings.HasPrefix(line, tag+" ") {
			return lines
		}
	}
}

// Command sends a tagged command and returns the lines up to its answer, which
// must be OK.
func (c *Conn) Command(tag, command string) []string {
	c.t.Helper()
	c.Send(tag + " " + command)
	lines := c.ReadUntilTagged(tag)
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, tag+" OK") {
		c.fail("got %q, want OK", last)
	}
	return lines
}

// ExpectEOF wants the server to close the connection without another byte.
func (c *Conn) ExpectEOF() {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(c.patience))
	if b, err := c.br.ReadByte(); !errors.Is(err, io.EOF) {
		c.fail("got %q and %v, want the end of the connection", b, err)
	}
}

// ExpectSilence wants nothing to arrive for d.
func (c *Conn) ExpectSilence(d time.Duration) {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(d))
	b, err := c.br.Peek(1)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.fail("got %q and %v, want silence", b, err)
	}
}

// Close closes the connection; what the server does then is its business.
func (c *Conn) Close() { c.conn.Close() }

// Transcript is what was said so far, long pieces cut.
func (c *Conn) Transcript() string { return c.said.String() }

func (c *Conn) fail(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf(format+"\nso far:\n%s", append(args, c.said.String())...)
}

// Match reports whether the line matches the pattern, in which * stands for any
// run of bytes, and all else for itself.
func Match(pattern, line string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !strings.HasPrefix(line, first) {
		return false
	}
	line = line[len(first):]
	if !wild {
		return line == ""
	}
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] {
		_, after, found := strings.Cut(line, part)
		if !found {
			return false
		}
		line = after
	}
	return strings.HasSuffix(line, parts[len(parts)-1])
}

// brief shows data in one line of bounded length.
func brief(data string) string {
	const limit = 200
	data = strings.TrimSuffix(data, "\r\n")
	if len(data) > limit {
		return fmt.Sprintf("%q and %d bytes more", data[:limit], len(data)-limit)
	}
	if quoted := fmt.Sprintf("%q", data); quoted != `"`+data+`"` {
		return quoted
	}
	return data
}
