package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// bench is a thread whose rounds the test makes itself, with a clock that it moves.
type bench struct {
	*testing.T
	*thread
}

func newBench(t *testing.T) *bench {
	t.Helper()
	th, err := newThread(0, fails(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, spare := range th.spare {
			spare.stop()
		}
		th.poller.Release()
	})
	return &bench{t, th}
}

// pass moves the thread's clock.
func (b *bench) pass(d time.Duration) { b.began = b.began.Add(-d) }

// arrived waits until the kernel has an event of want for the descriptor, which the thread does not know yet.
func (b *bench) arrived(fd int, want int16) {
	b.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: want}}
	for {
		n, err := unix.Poll(fds, int(patience/time.Millisecond))
		switch {
		case err == unix.EINTR:
		case n != 1:
			b.Fatalf("no event: %v", err)
		default:
			return
		}
	}
}

// waiting returns the connection that the only turn waits for.
func (b *bench) waiting() *threadConn {
	b.Helper()
	for t := range b.turns {
		if t.waitsFor != nil {
			return t.waitsFor
		}
	}
	b.Fatal("nothing waits")
	return nil
}

// rounds of a thread that comes late: the event's before the deadline, or the deadline's before the event.
var rounds = map[string]func(*bench){
	"event and deadline in one round": func(b *bench) { b.round(b.poller.Wait(0)) },
	"event in the round behind":       func(b *bench) { b.round(nil) },
}

// TestFinishedConnectIsNotLost has the thread busy with others while a connect finishes and its deadlines pass.
func TestFinishedConnectIsNotLost(t *testing.T) {
	testkit.NoLeaks(t)
	for name, round := range rounds {
		for deadline, late := range map[string]time.Duration{
			"first": connectGrace + time.Millisecond, "last": time.Hour,
		} {
			t.Run(name+", "+deadline+" deadline", func(t *testing.T) {
				ln := testkit.Listen(t)
				b := newBench(t)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var conn net.Conn
				err := errors.New("it still waits")
				b.start(func(turn *threadTurn) {
					if conn, err = turn.connect(ctx, Dialer{},
						netip.MustParseAddrPort(ln.Addr().String())); err == nil {
						conn.Close()
					}
				})
				if err == nil {
					t.Fatal("connecting took no wait that could be late")
				}
				b.arrived(b.waiting().fd, unix.POLLOUT)
				b.pass(late)
				round(b)
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestReadHasWhatCame does so with a read.
func TestReadHasWhatCame(t *testing.T) {
	testkit.NoLeaks(t)
	for name, round := range rounds {
		t.Run(name, func(t *testing.T) {
			b, c, peer := reading(t)
			var got string
			err := errors.New("it still waits")
			b.start(func(turn *threadTurn) {
				c.turn = turn
				c.SetReadDeadline(time.Now().Add(time.Minute))
				p := make([]byte, 10)
				var n int
				n, err = c.Read(p)
				got = string(p[:n])
			})
			peer.Write([]byte("hello"))
			b.arrived(c.fd, unix.POLLIN)
			b.pass(time.Hour)
			round(b)
			if got != "hello" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
}

// TestInterruptBeatsEvents ends a read though something has come: somebody wants it to end.
func TestInterruptBeatsEvents(t *testing.T) {
	testkit.NoLeaks(t)
	for name, interrupt := range map[string]struct {
		do   func(*threadConn)
		want error
	}{
		"deadline long past": {func(c *threadConn) { c.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"abort":              {(*threadConn).Abort, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			b, c, peer := reading(t)
			var err error
			b.start(func(turn *threadTurn) {
				c.turn = turn
				_, err = c.Read(make([]byte, 10))
			})
			peer.Write([]byte("hello"))
			b.arrived(c.fd, unix.POLLIN)
			interrupt.do(c)
			b.round(b.poller.Wait(0))
			if !errors.Is(err, interrupt.want) {
				t.Errorf("got %v, want %v", err, interrupt.want)
			}
		})
	}
}

// reading returns a connection on a bench, and its peer.
func reading(t *testing.T) (*bench, *threadConn, net.Conn) {
	t.Helper()
	ln := testkit.Listen(t)
	peer := dial(t, ln.Addr().String())
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	c, err := b.adopt(accepted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return b, c, peer
}
