//go:build unix

package handover

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// ends returns both ends of a connection.
func ends(t *testing.T) (ours, theirs *Conn) {
	t.Helper()
	ours, file, err := pair()
	if err == nil {
		theirs, err = connOf(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	for _, c := range []*Conn{ours, theirs} {
		c.SetDeadline(time.Now().Add(testkit.Patience))
	}
	return ours, theirs
}

// Messages arrive in order, each with its descriptors, which are another process's own. The sender's stay as they are.
func TestMessages(t *testing.T) {
	testkit.NoLeaks(t)
	ours, theirs := ends(t)
	ln := testkit.Listen(t)
	large := strings.Repeat("x", 1<<20)
	go func() {
		ours.Send("listener", 7, ln.(syscall.Conn))
		ours.Send("large", large)
		ours.Send("none", nil)
	}()
	m, err := theirs.Await("listener")
	var seven int
	if err != nil || m.Read(&seven) != nil || seven != 7 || len(m.Files) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	same, err := net.FileListener(m.Files[0])
	if err != nil || same.Addr().String() != ln.Addr().String() {
		t.Fatalf("%v, %v", same, err)
	}
	m.CloseFiles()
	same.Close()
	var text string
	if m, err := theirs.Await("large"); err != nil || m.Read(&text) != nil || text != large {
		t.Errorf("a text of %d bytes, %v", len(text), err)
	}
	if _, err := theirs.Await("none"); err != nil {
		t.Error(err)
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := ln.Accept() // would end the test if the listener blocked its thread for ever
		if err == nil {
			conn.Close()
		}
		accepted <- err
	}()
	testkit.Dial(t, ln.Addr().String(), nil)
	if err := <-accepted; err != nil {
		t.Error(err)
	}
}

// Whatever comes instead of the message that is due is an error with words.
func TestOtherMessages(t *testing.T) {
	testkit.NoLeaks(t)
	for _, c := range []struct {
		name string
		do   func(*Conn)
		want string
	}{
		{"gives up", func(c *Conn) { c.Send(Failed, "no room") }, "no room"},
		{"another kind", func(c *Conn) { c.Send("other", nil, pipeEnd(t)) }, `says "other", not "due"`},
		{"the end", func(c *Conn) { c.Close() }, ErrEnded.Error()},
		{"the end within", func(c *Conn) { io.WriteString(c.unix, "\x00\x00\x00\x09\x00"); c.Close() },
			ErrEnded.Error()},
		{"a huge message", func(c *Conn) { io.WriteString(c.unix, "\xff\xff\xff\xff\x00\x00\x00\x00") },
			"not a message"},
		{"descriptors missing", func(c *Conn) { io.WriteString(c.unix, "\x00\x00\x00\x02\x00\x00\x00\x01{}") },
			"0 of 1 descriptors"},
		{"not JSON", func(c *Conn) { io.WriteString(c.unix, "\x00\x00\x00\x02\x00\x00\x00\x00no") }, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := ends(t)
			c.do(ours)
			if m, err := theirs.Await("due"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v, want %q", m, err, c.want)
			}
		})
	}
	_, silent := ends(t)
	silent.SetDeadline(time.Unix(1, 0))
	if _, err := silent.Await("due"); !errors.Is(err, ErrTime) {
		t.Errorf("silence: %v", err)
	}
	if err := silent.Send("large", nil, make([]syscall.Conn, maxFiles+1)...); err == nil {
		t.Error("more descriptors than the limit were sent")
	}
}

// pipeEnd is a descriptor to be sent.
func pipeEnd(t *testing.T) *os.File {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	return in
}

// A process is found by its socket, which goes with it.
func TestSocket(t *testing.T) {
	testkit.NoLeaks(t)
	path := filepath.Join(t.TempDir(), "7.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if _, err := conn.Receive(); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	ln.Close()
	if _, err := Dial(context.Background(), path); err == nil {
		t.Error("found a process that has ended")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What holds for one process alone is not inherited, and without a parent there is no connection.
func TestEnvironment(t *testing.T) {
	got := inherited([]string{"PATH=/bin", "WATCHDOG_PID=7", "LISTEN_FDS=2", "WATCHDOG_USEC=9", variable + "=3"})
	if strings.Join(got, " ") != "PATH=/bin WATCHDOG_USEC=9" {
		t.Errorf("%v", got)
	}
	if conn, err := FromParent(); conn != nil || err != nil {
		t.Errorf("%v, %v", conn, err)
	}
	t.Setenv(variable, "two")
	if conn, err := FromParent(); err == nil {
		t.Errorf("%v, %v", conn, err)
	}
	if _, set := os.LookupEnv(variable); set {
		t.Error("children would inherit it")
	}
}
