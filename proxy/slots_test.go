package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsBoundHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSlots(1)
		first, second := &slot{slots: all}, &slot{slots: all}
		first.take()
		first.take() // held already
		got := false
		go func() {
			second.take()
			got = true
			second.leave()
		}()
		synctest.Wait()
		if got {
			t.Fatal("two hold one slot")
		}
		first.away(synctest.Wait)
		if !got || !first.held {
			t.Fatalf("second got it: %v; first has it back: %v", got, first.held)
		}
		first.leave()
		first.leave()
		first.take() // for good means for good
		if len(all.taken) != 0 {
			t.Fatal("slot leaked")
		}
	})
}

func TestSlotSurvivesPanicAway(t *testing.T) {
	all := newSlots(1)
	s := &slot{slots: all}
	s.take()
	func() {
		defer func() { recover() }()
		s.away(func() { panic("lookup") })
	}()
	s.leave()
	if len(all.taken) != 0 {
		t.Fatal("slot leaked")
	}
}

func tcpPair(t *testing.T) (here, there net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if there, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if here, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	here.SetDeadline(time.Now().Add(patience))
	there.SetDeadline(time.Now().Add(patience))
	return here, there
}

// While one session waits for its client, another can have the only slot; that is how this test gets on at all.
func TestSlotConnGivesSlotBackWhileWaiting(t *testing.T) {
	pipe := func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() }
	for name, pair := range map[string]func(*testing.T) (net.Conn, net.Conn){"tcp": tcpPair, "no descriptor": pipe} {
		t.Run(name, func(t *testing.T) {
			all := newSlots(1)
			waiting := &slot{slots: all}
			waiting.take()
			here, there := pair(t)
			conn := newSlotConn(here, waiting)
			go func() {
				other := &slot{slots: all}
				other.take()
				there.Write([]byte("hello"))
				other.leave()
			}()
			buf := make([]byte, 16)
			n, err := conn.Read(buf)
			if err != nil || string(buf[:n]) != "hello" {
				t.Fatalf("read %q, %v", buf[:n], err)
			}
			if !waiting.held || len(all.taken) != 1 {
				t.Fatal("reader came back without its slot")
			}
		})
	}
}

func TestSlotConnGivesSlotBackWhileWriting(t *testing.T) {
	all := newSlots(1)
	writing := &slot{slots: all}
	writing.take()
	here, there := tcpPair(t)
	conn := newSlotConn(here, writing)
	const size = 16 << 20 // more than the kernel keeps
	read := make(chan int64)
	go func() {
		other := &slot{slots: all}
		other.take()
		other.leave()
		n, _ := io.Copy(io.Discard, there)
		read <- n
	}()
	if n, err := conn.Write(make([]byte, size)); n != size || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	conn.CloseWrite()
	if n := <-read; n != size {
		t.Fatalf("%d bytes arrived", n)
	}
}

func TestSlotConnErrors(t *testing.T) {
	s := &slot{slots: newSlots(1)}
	s.take()
	here, there := tcpPair(t)
	conn := newSlotConn(here, s)
	buf := make([]byte, 1)

	conn.SetReadDeadline(time.Unix(1, 0))
	if _, err := conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past deadline: %v", err)
	}
	conn.SetReadDeadline(time.Time{})
	there.Close()
	if n, err := conn.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("after close by peer: %d, %v", n, err)
	}
	conn.Close()
	if _, err := conn.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := conn.Write(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if !s.held {
		t.Error("slot lost")
	}
}

func TestSlotConnReset(t *testing.T) {
	s := &slot{slots: newSlots(1)}
	s.take()
	here, there := tcpPair(t)
	there.(*net.TCPConn).SetLinger(0)
	there.Close()
	_, err := newSlotConn(here, s).Read(make([]byte, 1))
	if outcomeOf(err) != OutcomeClientGone {
		t.Errorf("reset by peer: %v", err)
	}
}

type dialerFunc func() (net.Conn, error)

func (f dialerFunc) DialContext(context.Context, string, string) (net.Conn, error) { return f() }

func TestSlotDialer(t *testing.T) {
	s := &slot{slots: newSlots(1)}
	s.take()
	here, _ := tcpPair(t)
	dialer := SlotDialer{dialerFunc(func() (net.Conn, error) {
		if s.held {
			t.Error("dials with the slot held")
		}
		return here, nil
	})}
	conn, err := dialer.DialContext(withSlot(t.Context(), s), "tcp", "")
	if _, ok := conn.(*slotConn); !ok || err != nil || !s.held {
		t.Fatalf("%T, %v, slot held %v", conn, err, s.held)
	}
	s.leave()
	if conn, err := dialer.DialContext(t.Context(), "tcp", ""); conn != here || err != nil {
		t.Fatalf("without a slot: %T, %v", conn, err)
	}
}
