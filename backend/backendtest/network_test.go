package backendtest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// linked is a link to a server that accepts connections and leaves them to the test.
func linked(t *testing.T) (*backendtest.Link, net.Listener) {
	t.Helper()
	testkit.NoLeaks(t)
	server := testkit.Listen(t)
	network := new(backendtest.Network)
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	link, err := network.Link(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return link, server
}

// ends are both ends of a connection through a link.
func ends(t *testing.T, link *backendtest.Link, server net.Listener) (client, accepted net.Conn) {
	t.Helper()
	client, err := net.Dial("tcp", link.Address)
	if err == nil {
		t.Cleanup(func() { client.Close() })
		accepted, err = server.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return client, accepted
}

// arrives sends a text and reads it at the other end.
func arrives(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	wantRead(t, to, text)
}

func wantRead(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testkit.Patience))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

// silent checks that nothing comes, and no end either, for a moment.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// A link is like no link, also when one side closes first.
func TestLink(t *testing.T) {
	link, server := linked(t)
	client, accepted := ends(t, link, server)
	arrives(t, client, accepted, "question")
	arrives(t, accepted, client, "answer")
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := accepted.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v", n, err)
	}
	arrives(t, accepted, client, "the rest")
	accepted.Close()
	if n, err := client.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// A side that resets its connection resets the other side's; a server that is not there does the same.
func TestLinkResets(t *testing.T) {
	link, server := linked(t)
	client, accepted := ends(t, link, server)
	accepted.(*net.TCPConn).SetLinger(0)
	accepted.Close()
	wantReset(t, client)
	server.Close()
	wantDialReset(t, link)
}

func wantReset(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testkit.Patience))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// wantDialReset checks that a new connection is reset. Dialing itself fails if the reset is there before it returns.
func wantDialReset(t *testing.T, link *backendtest.Link) {
	t.Helper()
	conn, err := net.Dial("tcp", link.Address)
	switch {
	case errors.Is(err, syscall.ECONNRESET):
	case err != nil:
		t.Error(err)
	default:
		defer conn.Close()
		wantReset(t, conn)
	}
}

// What is lost in one direction does not disturb the other, and arrives when the link is mended. A connection that
// begins meanwhile begins later.
func TestLinkDrops(t *testing.T) {
	for _, to := range []backendtest.Direction{backendtest.Upstream, backendtest.Downstream} {
		link, server := linked(t)
		from, at := ends(t, link, server)
		if to == backendtest.Downstream {
			from, at = at, from
		}
		link.Drop(to)
		if _, err := io.WriteString(from, "late"); err != nil {
			t.Fatal(err)
		}
		arrives(t, at, from, "the other way")
		silent(t, at)
		link.Mend()
		wantRead(t, at, "late")
		link.Drop(backendtest.Upstream)
		client, err := net.Dial("tcp", link.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		silent(t, client)
		link.Mend()
		accepted, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		arrives(t, accepted, client, "welcome")
		accepted.Close()
	}
}

// The end of a connection is lost, too.
func TestLinkDropsEnds(t *testing.T) {
	for _, linger := range []int{-1, 0} {
		link, server := linked(t)
		client, accepted := ends(t, link, server)
		link.Drop(backendtest.Upstream | backendtest.Downstream)
		client.(*net.TCPConn).SetLinger(linger)
		client.Close()
		silent(t, accepted)
		link.Mend()
		accepted.SetReadDeadline(time.Now().Add(testkit.Patience))
		if _, err := accepted.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after linger %d: %v", linger, err)
		}
	}
}

// A link that is cut ends its connections, and each new one, until it is mended.
func TestLinkCut(t *testing.T) {
	link, server := linked(t)
	client, accepted := ends(t, link, server)
	link.Cut()
	wantReset(t, client)
	wantReset(t, accepted)
	wantDialReset(t, link)
	link.Mend()
	client, accepted = ends(t, link, server)
	arrives(t, client, accepted, "again")
}

// A late link delivers no byte before its time, and all of them in order.
func TestLinkDelay(t *testing.T) {
	const late = 20 * time.Millisecond
	link, server := linked(t)
	client, accepted := ends(t, link, server)
	link.Delay(late)
	start := time.Now()
	for i := range 100 {
		if _, err := fmt.Fprintf(client, "%02d", i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		wantRead(t, accepted, fmt.Sprintf("%02d", i))
		if took := time.Since(start); took < late {
			t.Fatalf("it took %v", took)
		}
	}
}
