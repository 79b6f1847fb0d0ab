package admin

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

func TestLongHeadersAreRefused(t *testing.T) {
	s := open(t, testkit.Listen(t), Options{}, nil)
	conn, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 2*maxHeader))
	if line, _ := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, "431") {
		t.Errorf("got %q", line)
	}
}

// Whole requests are answered at once, however many clients have sent half of one or nothing: the one that has been
// connected longest gives way.
func TestHalfRequestsGiveWay(t *testing.T) {
	testkit.NoLeaks(t)
	s := open(t, testkit.Listen(t), Options{}, nil)
	var held []net.Conn
	for i := range maxConnections {
		conn, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 1 {
			fmt.Fprint(conn, "GET /livez HTTP/1.1\r\nHost: loc")
		}
		held = append(held, conn)
	}
	for range 3 {
		late, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		fmt.Fprint(late, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		late.SetReadDeadline(time.Now().Add(testkit.Patience))
		if line, err := bufio.NewReader(late).ReadString('\n'); !strings.Contains(line, "200") {
			t.Errorf("got %q, %v", line, err)
		}
	}
	held[0].SetReadDeadline(time.Now().Add(testkit.Patience))
	if _, err := held[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first has kept its place: %v", err)
	}
	fmt.Fprint(held[maxConnections-1], "alhost\r\n\r\n")
	held[maxConnections-1].SetReadDeadline(time.Now().Add(testkit.Patience))
	if line, err := bufio.NewReader(held[maxConnections-1]).ReadString('\n'); !strings.Contains(line, "200") {
		t.Errorf("the rest of a request: %q, %v", line, err)
	}
}

// Who gives way: first whoever is not being answered, then the reader that takes longest; never a change.
func TestWhoGivesWay(t *testing.T) {
	p := newConnSlots(4, newMetrics(nil).displaced)
	enter := func() *slotConn {
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		return p.enter(near)
	}
	change, slow, quick, idle := enter(), enter(), enter(), enter()
	change.answering(true)
	slow.answering(false)
	quick.answering(false)
	for _, want := range []*slotConn{idle, slow, quick} {
		if got := p.loser(); got != want {
			t.Fatalf("%p gives way, want %p", got, want)
		}
		enter().answering(true)
		if _, err := want.Write([]byte("x")); err == nil {
			t.Error("whoever has given way is still connected")
		}
	}
	if got := p.loser(); got != nil {
		t.Error("a change gives way")
	}
	entered := make(chan *slotConn)
	go func() { entered <- enter() }()
	change.Close()
	last := <-entered
	last.answering(true) // so that it does not give way
	go func() { entered <- enter() }()
	p.end()
	(<-entered).Close() // it has come before the end
}
