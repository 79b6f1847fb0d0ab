package relay

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// A mailbox server that sends much is read in large pieces while the client takes them, and in small ones when it
// does not: what is left pending stays small.
func TestBulkReadsLeaveLittlePending(t *testing.T) { eachLoop(t, bulkReadsLeaveLittlePending) }

func bulkReadsLeaveLittlePending(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{})
	tk := r.start(func(s *Session) { s.Upstream.Conn.net.(*net.TCPConn).SetReadBuffer(4 << 20) })
	mail := flow{32 << 20, 7}
	head := "* 1 FETCH (BODY[] {" + strconv.Itoa(mail.size) + "}\n"
	tk.server.say(head)
	tk.client.hears(head)
	largest := uint64(0)
	var sent chan error
	inside(t, r.relay, func(lp *loop) {
		sent = tk.server.sends(mail) // the loop reads none of it but here
		lp.links(func(l *link) {
			for l.client.pending == nil {
				// Before each read there is more to read than what may be left pending.
				if !waitUnread(l.upstream.fd, maxPending+readSize) {
					t.Error("the mailbox server's bytes do not arrive")
					return
				}
				l.upstream.bulk, l.upstream.reads = true, readMore
				lp.enqueue(&l.upstream)
				room, before := sendRoom(int(l.client.fd)), l.serverBytes
				lp.serveReady()
				n := l.serverBytes - before
				if n == 0 || n > uint64(max(room, readSize)) {
					t.Errorf("a read has taken %d bytes, and the client has room for %d", n, room)
					return
				}
				largest = max(largest, n)
			}
			if n := l.client.pending.size(); n > maxPending {
				t.Errorf("%d bytes are pending", n)
			}
		})
	})
	if largest <= readSize {
		t.Errorf("the largest read has taken %d bytes", largest)
	}
	tk.client.gets(mail)
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// waitUnread waits until a socket has at least that many bytes to read.
func waitUnread(fd int32, size int) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ); err == nil && n >= size {
			return true
		}
	}
	return false
}

// A round of the ready list ends after bulkSize bytes. Who has not had a turn is first in the next.
func TestARoundOfLargeFlowsIsBounded(t *testing.T) { eachLoop(t, aRoundOfLargeFlowsIsBounded) }

func aRoundOfLargeFlowsIsBounded(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{})
	const sessions, size = 5, 600 << 10
	var talks []*talk
	for range sessions {
		talks = append(talks, r.start(func(s *Session) {
			s.Client.Conn.net.(*net.TCPConn).SetWriteBuffer(4 << 20)
			s.Upstream.Conn.net.(*net.TCPConn).SetReadBuffer(4 << 20)
		}))
	}
	mail := "* 1 FETCH (BODY[] {614400}\n" + strings.Repeat("m", size)
	inside(t, r.relay, func(lp *loop) {
		for _, tk := range talks {
			tk.server.say(mail)
		}
		lp.links(func(l *link) {
			l.upstream.bulk, l.upstream.reads = true, readMore
			lp.enqueue(&l.upstream)
		})
		first := lp.ready[0]
		var served []*end
		for len(served) < sessions {
			before := lp.read(t)
			next := lp.ready[0]
			lp.serveReady()
			if n := lp.read(t) - before; n > bulkSize+readSize || n == 0 {
				t.Errorf("a round has read %d bytes", n)
			}
			served = append(served, next)
			if len(served) > 1 && next == first {
				t.Error("the first has its second turn before others have their first")
			}
		}
	})
	for _, tk := range talks {
		tk.client.hears(mail)
	}
}

// read returns how many bytes of servers a loop has read.
func (lp *loop) read(t *testing.T) (n uint64) {
	t.Helper()
	lp.links(func(l *link) { n += l.serverBytes })
	return n
}
