package setup

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

const patience = 30 * time.Second

// fails is for threads on which nothing is to panic.
func fails(t *testing.T) func(any, []byte) {
	return func(value any, stack []byte) { t.Errorf("panic: %v\n%s", value, stack) }
}

// kinds are the ways in which set-ups may run: on threads, where the system has them, and on goroutines.
var kinds = map[string]func() error{
	"threads":    nil,
	"goroutines": func() error { return errors.New("the test wants none") },
}

// eachKind runs a test in both ways.
func eachKind(t *testing.T, test func(t *testing.T, check func() error)) {
	testkit.NoLeaks(t)
	for name, check := range kinds {
		t.Run(name, func(t *testing.T) { test(t, check) })
	}
}

// serve starts threads and has every connection to the address returned given to job.
func serve(t *testing.T, threads int, job func(Turn, Conn)) (address string) {
	t.Helper()
	return serveIf(t, nil, threads, job)
}

// serveIf is serve with a check whether threads work.
func serveIf(t *testing.T, check func() error, threads int, job func(Turn, Conn)) (address string) {
	t.Helper()
	ts, err := Start(Options{Threads: threads, Check: check, Panicked: fails(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ts.Stop)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	take := func(c Conn) {
		c.Start(func(turn Turn) {
			defer c.Close()
			job(turn, c)
		})
	}
	end, err := ts.Accept(ln.(*net.TCPListener), take, func(err error) time.Duration {
		t.Errorf("accept: %v", err)
		return time.Second
	})
	if errors.Is(err, errors.ErrUnsupported) {
		var accepting sync.WaitGroup
		accepting.Go(func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				ts.Adopt(conn, take)
			}
		})
		t.Cleanup(func() { ln.Close(); accepting.Wait() })
		return ln.Addr().String()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return ln.Addr().String()
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// echo sends back what comes until the end of it.
func echo(_ Turn, c Conn) { io.Copy(c, struct{ io.Reader }{c}) }

// While one waits for its client, others on the same thread have their turn; and bytes that are more than the kernel
// takes at once arrive whole.
func TestTurns(t *testing.T) {
	eachKind(t, func(t *testing.T, check func() error) {
		for _, threads := range []int{1, 3} {
			takeTurns(t, serveIf(t, check, threads, echo))
		}
	})
}

func takeTurns(t *testing.T, address string) {
	idle := dial(t, address)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			c := dial(t, address)
			text := strings.Repeat("0123456789abcdef", 32<<10)
			go func() {
				io.WriteString(c, text)
				c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || string(got) != text {
				t.Errorf("%d bytes of %d came back: %v", len(got), len(text), err)
			}
		})
	}
	clients.Wait()
	io.WriteString(idle, "still here")
	idle.CloseWrite()
	if got, err := io.ReadAll(idle); string(got) != "still here" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A client that never stops sending does not keep others from their turn.
func TestNobodyKeepsTheThread(t *testing.T) {
	testkit.NoLeaks(t)
	var answered atomic.Bool
	began := make(chan struct{}, 1)
	address := serve(t, 1, func(_ Turn, c Conn) {
		var p [1]byte
		if c.Read(p[:]); p[0] != 'x' {
			c.Write(p[:])
			return
		}
		began <- struct{}{}
		for n := 1; n > 0 && !answered.Load(); {
			n, _ = c.Read(p[:]) // always something there
		}
	})
	greedy, modest := dial(t, address), dial(t, address)
	var sending sync.WaitGroup
	sending.Go(func() {
		for text, err := strings.Repeat("x", 64<<10), error(nil); err == nil; {
			_, err = io.WriteString(greedy, text)
		}
	})
	<-began
	io.WriteString(modest, "!")
	if got, err := io.ReadAll(modest); string(got) != "!" {
		t.Errorf("%q, %v, while the other sends", got, err)
	}
	answered.Store(true)
	sending.Wait()
}

func TestDeadlines(t *testing.T) { eachKind(t, testDeadlines) }

func testDeadlines(t *testing.T, check func() error) {
	for name, test := range map[string]struct {
		job  func(Turn, Conn) error
		want error
	}{
		"past": {func(_ Turn, c Conn) error {
			c.SetDeadline(time.Unix(1, 0))
			_, err := c.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		"while reading": {func(_ Turn, c Conn) error {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		"while writing": {func(_ Turn, c Conn) error {
			c.SetReadDeadline(time.Unix(1, 0)) // not ours
			c.SetWriteDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Write(make([]byte, 64<<20))
			return err
		}, os.ErrDeadlineExceeded},
		"from elsewhere": {func(_ Turn, c Conn) error {
			time.AfterFunc(time.Millisecond, func() { c.SetDeadline(time.Unix(1, 0)) })
			_, err := c.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		"taken back": {func(_ Turn, c Conn) error {
			c.SetDeadline(time.Unix(1, 0))
			c.SetDeadline(time.Time{})
			_, err := c.Write([]byte("x"))
			return err
		}, nil},
		"abort": {func(_ Turn, c Conn) error {
			time.AfterFunc(time.Millisecond, c.Abort)
			_, err := c.Read(make([]byte, 1))
			c.SetDeadline(time.Now().Add(time.Hour))
			_, again := c.Read(make([]byte, 1))
			if !errors.Is(again, net.ErrClosed) {
				return again
			}
			return err
		}, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			address := serveIf(t, check, 1, func(turn Turn, c Conn) { got <- test.job(turn, c) })
			dial(t, address)
			if err := <-got; !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// A turn that is away holds up nobody, and comes back with what it went for.
func TestAway(t *testing.T) { eachKind(t, testAway) }

func testAway(t *testing.T, check func() error) {
	there := make(chan struct{})
	address := serveIf(t, check, 1, func(turn Turn, c Conn) {
		var p [1]byte
		if c.Read(p[:]); p[0] == 'w' {
			turn.Away(func() { <-there })
		}
		c.Write([]byte("!"))
	})
	waits, goes := dial(t, address), dial(t, address)
	io.WriteString(waits, "w")
	io.WriteString(goes, "g")
	if got, err := io.ReadAll(goes); string(got) != "!" {
		t.Fatalf("%q, %v", got, err)
	}
	close(there)
	if got, err := io.ReadAll(waits); string(got) != "!" {
		t.Errorf("%q, %v", got, err)
	}
}

// What runs away from a turn gets a context without it: another wait inside stays where it is. So does a wait outside
// of any turn.
func TestAwayByContext(t *testing.T) { eachKind(t, testAwayByContext) }

func testAwayByContext(t *testing.T, check func() error) {
	there := make(chan struct{})
	address := serveIf(t, check, 1, func(turn Turn, c Conn) {
		var p [1]byte
		if c.Read(p[:]); p[0] == 'w' {
			Away(With(t.Context(), turn), func(ctx context.Context) {
				<-there
				Away(ctx, func(context.Context) { p[0] = '!' })
			})
		}
		c.Write(p[:])
	})
	waits, goes := dial(t, address), dial(t, address)
	io.WriteString(waits, "w")
	io.WriteString(goes, "g")
	if got, err := io.ReadAll(goes); string(got) != "g" {
		t.Fatalf("%q, %v", got, err)
	}
	close(there)
	if got, err := io.ReadAll(waits); string(got) != "!" {
		t.Errorf("%q, %v", got, err)
	}
	called := false
	if Away(t.Context(), func(context.Context) { called = true }); !called {
		t.Error("not called without a turn")
	}
}

func TestPanicAway(t *testing.T) { eachKind(t, testPanicAway) }

func testPanicAway(t *testing.T, check func() error) {
	got := make(chan any, 1)
	address := serveIf(t, check, 1, func(turn Turn, c Conn) {
		defer func() { got <- recover() }()
		turn.Away(func() { panic("away") })
	})
	dial(t, address)
	p, ok := (<-got).(*Panic)
	if !ok || p.Value != "away" || !strings.Contains(string(p.Stack), "testPanicAway") {
		t.Errorf("got %+v", p)
	}
}

func TestDial(t *testing.T) { eachKind(t, testDial) }

func testDial(t *testing.T, check func() error) {
	server := serveIf(t, check, 1, echo)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	cancelled, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	cancel(late)
	for name, test := range map[string]struct {
		ctx    context.Context
		dialer ContextDialer
		to     string
		want   error
	}{
		"address":       {t.Context(), &net.Dialer{}, server, nil},
		"name":          {t.Context(), &net.Dialer{}, strings.Replace(server, "127.0.0.1", "localhost", 1), nil},
		"other dialer":  {t.Context(), struct{ ContextDialer }{&net.Dialer{}}, server, nil},
		"refused":       {t.Context(), &net.Dialer{}, free.Addr().String(), syscall.ECONNREFUSED},
		"ended context": {cancelled, &net.Dialer{}, server, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			address := serveIf(t, check, 1, func(turn Turn, c Conn) {
				conn, err := Dialer{Dialer: test.dialer}.DialContext(With(test.ctx, turn), "tcp", test.to)
				if err == nil {
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(patience))
					if _, err = io.WriteString(conn, "hello"); err == nil {
						_, err = io.ReadFull(conn, make([]byte, len("hello")))
					}
				}
				got <- err
			})
			dial(t, address)
			if err := <-got; !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// Without a turn the dialer is the one beneath.
func TestDialWithoutTurn(t *testing.T) {
	testkit.NoLeaks(t)
	conn, err := Dialer{Dialer: &net.Dialer{}}.DialContext(t.Context(), "tcp", serve(t, 1, echo))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := conn.(*net.TCPConn); !ok {
		t.Errorf("got a %T", conn)
	}
	conn.Close()
}

func TestAddresses(t *testing.T) { eachKind(t, testAddresses) }

func testAddresses(t *testing.T, check func() error) {
	got := make(chan [2]string, 1)
	address := serveIf(t, check, 1,
		func(_ Turn, c Conn) { got <- [2]string{c.LocalPort().String(), c.RemoteAddr().String()} })
	c := dial(t, address)
	if want := [2]string{address, c.LocalAddr().String()}; <-got != want {
		t.Errorf("want %v", want)
	}
}

// Stop waits for the last set-up.
func TestStop(t *testing.T) { eachKind(t, testStop) }

func testStop(t *testing.T, check func() error) {
	ts, err := Start(Options{Threads: 1, Check: check, Panicked: fails(t)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dial(t, ln.Addr().String())
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	there, stopped := make(chan struct{}), make(chan struct{})
	over := false
	err = ts.Adopt(conn, func(c Conn) {
		c.Start(func(turn Turn) {
			defer c.Close()
			close(stopped) // it may begin to
			turn.Away(func() { <-there })
			over = true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	<-stopped
	time.AfterFunc(10*time.Millisecond, func() { close(there) })
	if ts.Stop(); !over {
		t.Error("stopped with a set-up at work")
	}
}

// A connection comes from the address it is to come from, with a turn, away from it, and without.
func TestDialFromSource(t *testing.T) {
	testkit.NoLeaks(t)
	from := netip.MustParseAddr("127.0.0.2")
	if runtime.GOOS != "linux" {
		testkit.Lack(t, errors.New("only Linux has all of 127.0.0.0/8"))
	}
	told := make(chan string, 3)
	server := serve(t, 3, func(_ Turn, c Conn) { told <- c.RemotePort().Addr().String() })
	for name, to := range map[string]string{"address": server,
		"name": strings.Replace(server, "127.0.0.1", "localhost", 1)} {
		done := make(chan error, 1)
		address := serve(t, 1, func(turn Turn, c Conn) {
			conn, err := Dialer{Dialer: &net.Dialer{}, Source: from}.DialContext(With(t.Context(), turn), "tcp", to)
			if err == nil {
				conn.Close()
			}
			done <- err
		})
		dial(t, address)
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := <-told; got != from.String() {
			t.Errorf("%s: it comes from %s", name, got)
		}
	}
	conn, err := Dialer{Dialer: &net.Dialer{}, Source: from}.DialContext(t.Context(), "tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := <-told; got != from.String() {
		t.Errorf("without a turn: it comes from %s", got)
	}
}
