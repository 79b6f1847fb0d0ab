package relay

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
)

// openBatch returns a relay that receives and sends in batches, and its only loop's batch.
func openBatch(t *testing.T) (*rig, *Loops) {
	t.Helper()
	r := newRig(t, loopDrivers[1], Options{}, ways{})
	return r, r.relay.(*Loops)
}

// Many sessions whose events come in the same wait get their own bytes, however much each has to say: less than a
// room, one to the byte, more.
func TestABatchKeepsSessionsApart(t *testing.T) {
	testkit.NoLeaks(t)
	r, ls := openBatch(t)
	var talks []*talk
	for range maxPrefetches + 20 {
		talks = append(talks, r.start())
	}
	sizes := []int{1, 100, prefetchSize - 1, prefetchSize, prefetchSize + 1, 3 * prefetchSize, readSize + 1}
	for round := range 3 {
		held, release := make(chan struct{}), make(chan struct{})
		ls.loops[0].post(func() { close(held); <-release })
		<-held
		for i, tk := range talks {
			size := sizes[(i+round)%len(sizes)]
			tk.server.raw("* " + string(bytes.Repeat([]byte{byte('a' + i%26)}, size)) + "\r\n")
			tk.client.say(fmt.Sprintf("a%d NOOP\n", i))
		}
		close(release)
		for i, tk := range talks {
			size := sizes[(i+round)%len(sizes)]
			tk.client.hears("* " + string(bytes.Repeat([]byte{byte('a' + i%26)}, size)) + "\n")
			tk.server.hears(fmt.Sprintf("a%d NOOP\n", i))
			tk.server.say(fmt.Sprintf("a%d OK\n", i))
			tk.client.hears(fmt.Sprintf("a%d OK\n", i))
		}
	}
}

// What the kernel does not take of a batch is kept and sent later, in its place.
func TestABatchThatIsNotTaken(t *testing.T) {
	testkit.NoLeaks(t)
	r, _ := openBatch(t)
	tk := r.start(tight)
	var want bytes.Buffer
	inside(t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			lp.batch.open = true
			line := bytes.Repeat([]byte("x"), fewBytes)
			for i := 0; l.client.pending == nil; i++ {
				line[0] = byte('a' + i%26)
				for _, part := range [][]byte{line[:100], line[100:]} { // one piece
					l.toClient(part)
					want.Write(part)
				}
				lp.deliver()
			}
			l.toClient([]byte("behind"))
			want.WriteString("behind")
			lp.batch.open = false
			if len(lp.batch.unsettled) != 1 {
				t.Errorf("%d sessions are to be settled, want 1", len(lp.batch.unsettled))
			}
			lp.settleRest()
		})
	})
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(tk.client.in, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the client has got something else (%v)", err)
	}
}

// A session whose send fails in a batch ends, and nobody else's does.
func TestABatchThatFails(t *testing.T) {
	testkit.NoLeaks(t)
	r, _ := openBatch(t)
	broken, other := r.start(), r.start()
	other.client.say("a NOOP\n")
	other.server.hears("a NOOP\n")
	inside(t, r.relay, func(lp *loop) {
		lp.batch.open = true
		lp.links(func(l *link) {
			if l.clientBytes == 0 {
				syscall.Shutdown(int(l.client.fd), syscall.SHUT_WR)
			}
			l.toClient([]byte("* 1 EXISTS\r\n"))
		})
		lp.batch.open = false
		lp.deliver()
		lp.settleRest()
	})
	if e := broken.end(); e.Reason != ReasonClient {
		t.Errorf("ended with %+v", e)
	}
	other.server.say("a OK\n")
	other.client.hears("* 1 EXISTS\na OK\n")
}

// A session that is over when its turn comes is not sent for: its descriptor may be another's by then.
func TestABatchForgetsWhoIsGone(t *testing.T) {
	testkit.NoLeaks(t)
	r, _ := openBatch(t)
	gone, other := r.start(), r.start()
	other.client.say("a NOOP\n")
	other.server.hears("a NOOP\n")
	inside(t, r.relay, func(lp *loop) {
		lp.batch.open = true
		lp.links(func(l *link) { l.toClient([]byte("* 1 EXISTS\r\n")) })
		lp.links(func(l *link) {
			if l.clientBytes == 0 {
				l.kill(ReasonError)
			}
		})
		for _, p := range lp.batch.pieces {
			if p.end != nil && p.end.fd < 0 {
				t.Error("an end that is closed is in the batch")
			}
		}
		lp.batch.open = false
		lp.deliver()
		lp.settleRest()
	})
	gone.end()
	other.server.say("a OK\n")
	other.client.hears("* 1 EXISTS\na OK\n")
}

// What was received ahead and more than a read has room for comes in pieces.
func TestEarly(t *testing.T) {
	e := prefetched{unread: true, fd: 7, data: []byte("abcdef")}
	p := make([]byte, 4)
	for _, want := range []string{"abcd", "ef"} {
		if n, errno := e.receive(7, p); errno != 0 || string(p[:n]) != want {
			t.Errorf("received %q, %v; want %q", p[:n], errno, want)
		}
	}
	if e.unread {
		t.Error("there is more")
	}
	if _, errno := e.receive(-1, p); errno != syscall.EBADF { // now from the descriptor
		t.Errorf("received with %v", errno)
	}
}

// A loop that may not use io_uring works all the same, and says why.
func TestIO(t *testing.T) {
	for _, io := range []IO{IOAuto, IOEpoll} {
		ls, err := NewLoops(complete(Options{IO: io}))
		if err != nil {
			t.Fatal(err)
		}
		got, refused := ls.IO()
		wrong := (got == IOEpoll) != (ls.Stats().IOUringLoops == 0)
		if io == IOEpoll {
			wrong = wrong || got != IOEpoll || refused != nil
		} else {
			wrong = wrong || (got == IOEpoll) != (refused != nil)
		}
		if wrong {
			t.Errorf("%v: %v, %v; %d loops with io_uring", io, got, refused, ls.Stats().IOUringLoops)
		}
		ls.Close()
	}
}
