package relay

import (
	"crypto/tls"
	"errors"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// end is one of a link's two connections, plain or TLS. Its loop owns it.
type end struct {
	link *link
	tls  *tlsConn // nil = plain
	// read and not used yet: a line whose head is not known, or what came while the client had to wait
	held    rareBytes
	pending *pending // nil = the kernel has taken everything
	fd      int32
	slot    int32
	watched uint32 // the events that epoll looks for; 0 = not in the set

	reads  readState
	writes writeState

	listed      bool // on the loop's ready list
	bulk        bool // the last read took readSize or more
	stalled     bool // held waits for mayReadClient, not for more bytes
	unsentBound bool // see boundUnsent
}

func (e *end) isClient() bool { return e == &e.link.client }

// tlsConn is a TLS connection in its second life, and what it lies over.
type tlsConn struct {
	*tls.Conn
	over *Conn
}

// take brings a connection's descriptor under the loop.
func (e *end) take(lp *loop, from End) error {
	if err := from.Conn.detach(&lp.work); err != nil {
		return err
	}
	e.fd = int32(from.Conn.fd)
	if from.TLS != nil {
		e.tls = &tlsConn{from.TLS, from.Conn}
	}
	return nil
}

// read reads what is there, at most p.
func (e *end) read(p []byte) int {
	if e.tls != nil {
		return e.readTLS(p)
	}
	n, errno := e.link.loop.work.early.receive(int(e.fd), p)
	switch {
	case n <= 0 && errno == unix.EAGAIN:
		e.reads.on(readNothing)
	case errno != 0:
		e.reads.on(readBreaks)
	case n == 0:
		e.reads.on(readEnds)
	case n < len(p): // less than there was room for
		e.reads.on(readTookAll)
	}
	return max(n, 0)
}

// readTLS reads records until p is full or none is left, so that they are passed on in one write.
func (e *end) readTLS(p []byte) int {
	lp := e.link.loop
	lp.work.gather = lp.work.gather[:0]
	e.tls.over.empty, e.tls.over.hungUp = false, e.reads.hungUp()
	lp.lend(e.tls.Conn)
	n := 0
	for n < len(p) && e.reads.ready() {
		m, err := e.tls.Read(p[n:])
		n += m
		switch {
		case err == nil:
		case isWouldBlock(err):
			e.reads.on(readNothing)
		case err == io.EOF || e.isClient() && errors.Is(err, io.ErrUnexpectedEOF):
			e.reads.on(readEnds)
		default:
			e.reads.on(readBreaks)
		}
	}
	lp.takeBack(e.tls.Conn)
	if len(lp.work.gather) > 0 { // reading may answer: a key update, an alert
		e.send(lp.work.gather)
	}
	return n
}

// discard throws away what the peer says after the end, so that it does not turn the close into a reset.
func (e *end) discard() {
	n, errno := receive(int(e.fd), e.link.loop.buf)
	switch {
	case errno == unix.EAGAIN:
		e.reads.on(readNothing)
	case errno != 0:
		e.reads.on(readBreaks)
	case n == 0:
		e.reads.on(readEnds)
	}
}

// write sends bytes, or keeps them to be sent.
func (e *end) write(p []byte) {
	if e.writes != writeOpen || e.reads == readFailed || e.fd < 0 || len(p) == 0 {
		return
	}
	if e.tls == nil {
		e.send(p)
		return
	}
	lp := e.link.loop
	lp.work.gather = lp.work.gather[:0]
	if _, err := e.tls.Write(p); err != nil {
		e.fail()
		return
	}
	e.send(lp.work.gather)
}

// send gives bytes to the kernel and keeps what it does not take.
func (e *end) send(p []byte) {
	if e.writes.over() {
		return
	}
	if len(p) > fewBytes {
		e.boundUnsent()
	}
	switch {
	case e.pending == nil && e.link.loop.queue(e, p), e.writes == writeFailed: // queue may send what was queued before
	case e.pending == nil:
		n, errno := send(int(e.fd), p)
		e.took(p, n, errno)
	default:
		e.pending.data = append(e.pending.data, p...)
	}
}

// took is for the outcome of sending p. It keeps what the kernel has not taken.
func (e *end) took(p []byte, n int, errno syscall.Errno) {
	if errno != 0 && errno != unix.EAGAIN {
		e.fail()
		return
	}
	if errno != 0 {
		n = 0
	}
	if n < len(p) {
		e.pending = e.link.loop.buffer()
		e.boundUnsent()
		e.pending.data = append(e.pending.data, p[n:]...)
	}
}

const (
	// fewBytes are too few for the kernel's send buffer to grow by them.
	fewBytes = 8 << 10
	// maxUnsent is how many bytes the kernel keeps of what the peer's window has no room for, beside what is on its
	// way.
	maxUnsent = 1 << 20
)

// boundUnsent bounds what the kernel keeps of bytes that it cannot send yet. Without the bound, a peer that reads
// fast gets a large send buffer (net.ipv4.tcp_wmem), which is filled when the peer stops. It costs a system call, so
// it waits until an end sends much or falls behind.
func (e *end) boundUnsent() {
	if !e.unsentBound {
		e.unsentBound = true
		unix.SetsockoptInt(int(e.fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	}
}

// flush goes on with what is pending.
func (e *end) flush() {
	n, errno := send(int(e.fd), e.pending.data[e.pending.sent:])
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0:
		e.fail()
		return
	}
	if e.pending.sent += n; e.pending.size() == 0 {
		e.dropPending()
		e.shutNow()
	}
}

// fail notes that nothing more can be written. What a mailbox server has said before is still to be read.
func (e *end) fail() {
	e.dropPending()
	e.writes.on(writeBreaks)
	if e.isClient() {
		e.reads.on(readBreaks)
	}
}

func (e *end) dropPending() {
	e.link.loop.recycle(e.pending)
	e.pending = nil
}

// await has epoll look for what the end is waiting for, and puts an end that may be read and has more on the loop's
// ready list.
func (e *end) await(mayRead bool) {
	if e.fd < 0 {
		return
	}
	want := uint32(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET)
	if e.pending != nil {
		want |= unix.EPOLLOUT
	}
	e.watch(want)
	if mayRead && e.reads.ready() {
		e.link.loop.enqueue(e)
	}
}

// watch sets the events that epoll looks for. It reports them once, when they come (edge-triggered): reads remembers
// what was reported of an end that may not be read, and a hang-up is not reported over and over.
func (e *end) watch(want uint32) {
	if want == e.watched {
		return
	}
	lp := e.link.loop
	op := unix.EPOLL_CTL_MOD
	if e.watched == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	if err := lp.poller.Control(op, int(e.fd), e.slot, lp.slots[e.slot].generation, want); err != nil {
		e.reads.on(readBreaks)
		return
	}
	e.watched = want
}

// closeFD closes the descriptor, with which it leaves epoll's set.
func (e *end) closeFD() {
	if e.fd < 0 {
		return
	}
	unix.Close(int(e.fd))
	e.fd = -1
	e.watched = 0
	e.held.drop()
	e.dropPending()
}
