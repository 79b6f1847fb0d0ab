package backendtest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// echoing serves a listener that sends back what it gets.
func echoing(t *testing.T) *backendtest.OutageListener {
	t.Helper()
	ln, err := backendtest.ListenOutage("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
			}()
		}
	}()
	return ln
}

func connected(t *testing.T, ln *backendtest.OutageListener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// answers sends a byte and waits for it to come back, for as long as is given.
func answers(conn net.Conn, within time.Duration) error {
	conn.SetDeadline(time.Now().Add(within))
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func setOutage(t *testing.T, ln *backendtest.OutageListener, o, was backendtest.Outage) {
	t.Helper()
	if got, err := ln.Set(o); err != nil || got != was {
		t.Errorf("to %s: it was %s, %v; want %s", o, got, err, was)
	}
}

// A stopped server ends its connections and refuses others, at the port that it has again afterwards.
func TestOutageStopped(t *testing.T) {
	testkit.NoLeaks(t)
	ln := echoing(t)
	conn := connected(t, ln)
	if err := answers(conn, testkit.Patience); err != nil {
		t.Fatal(err)
	}
	setOutage(t, ln, backendtest.Stopped, backendtest.NoOutage)
	if err := answers(conn, testkit.Patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an open connection: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("another connection: %v", err)
	}
	setOutage(t, ln, backendtest.NoOutage, backendtest.Stopped)
	if err := answers(connected(t, ln), testkit.Patience); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// A silent server takes connections and answers none, old or new, until it works again or is closed.
func TestOutageSilent(t *testing.T) {
	testkit.NoLeaks(t)
	ln := echoing(t)
	old := connected(t, ln)
	if err := answers(old, testkit.Patience); err != nil {
		t.Fatal(err)
	}
	setOutage(t, ln, backendtest.Silent, backendtest.NoOutage)
	for _, conn := range []net.Conn{old, connected(t, ln)} {
		if err := answers(conn, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it says: %v", err)
		}
	}
	setOutage(t, ln, backendtest.NoOutage, backendtest.Silent)
	if err := answers(old, testkit.Patience); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	setOutage(t, ln, backendtest.Silent, backendtest.NoOutage)
	ln.Close()
	if _, err := ln.Set(backendtest.NoOutage); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestOutageSlow(t *testing.T) {
	testkit.NoLeaks(t)
	ln := echoing(t)
	conn := connected(t, ln)
	setOutage(t, ln, backendtest.Slow, backendtest.NoOutage)
	if err := answers(conn, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it says: %v", err)
	}
	if err := answers(conn, testkit.Patience); err != nil {
		t.Errorf("late: %v", err)
	}
	setOutage(t, ln, backendtest.NoOutage, backendtest.Slow)
	if err := answers(conn, testkit.Patience); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	ln.Close()
}
