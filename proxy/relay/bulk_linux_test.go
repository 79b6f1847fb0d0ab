package relay

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// A mailbox server that sends much is read in large pieces while the client takes them, and in small ones when it
// does not: what is left pending stays small.
func TestBulkReadsLeaveLittlePending(t *testing.T) { eachLoop(t, bulkReadsLeaveLittlePending) }

func bulkReadsLeaveLittlePending(t *testing.T, d driver) {
	testkit.NoLeaks(t)
	r := newRig(t, d, Options{}, ways{})
	tk := r.start()
	mail := flow{32 << 20, 7}
	head := "* 1 FETCH (BODY[] {" + strconv.Itoa(mail.size) + "}\n"
	tk.server.say(head)
	sent := tk.server.sends(mail)
	r.waitStalled()
	inside(t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			if l.client.pending == nil || !l.upstream.bulk {
				t.Errorf("%d bytes pending, bulk %t: the session has not stalled in a large flow",
					l.client.pending.size(), l.upstream.bulk)
			}
			if n := l.client.pending.size(); n > maxPending {
				t.Errorf("%d bytes are pending", n)
			}
		})
	})
	tk.client.hears(head)
	tk.client.gets(mail)
	if err := <-sent; err != nil {
		t.Error(err)
	}
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
