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
	// read and not used yet: a line whose head is not known, or bytes that came while the client had to wait
	held    rareBytes
	pending *pending // bytes to send; nil = the kernel has taken all of them
	fd      int32
	slot    int32
	events  uint32 // that epoll looks for; 0 = not in its set

	reads  readState
	writes writeState

	listed      bool // on the loop's ready list
	bulk        bool // the last read took readSize or more
	stalled     bool // held waits for mayReadClient, not for more bytes
	unsentBound bool // see boundUnsent
}

func (e *end) isClient() bool { return e == &e.link.client }

// tlsConn is a TLS connection in the loop phase, and the connection that it uses.
type tlsConn struct {
	*tls.Conn
	conn *Conn
}

// take moves a connection's descriptor to the loop.
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

// read reads the bytes that are there, at most len(p).
func (e *end) read(p []byte) int {
	if e.tls != nil {
		return e.readTLS(p)
	}
	n, errno := e.link.loop.work.prefetched.receive(int(e.fd), p)
	switch {
	case n <= 0 && errno == unix.EAGAIN:
		e.reads.advance(eventReadNothing)
	case errno != 0:
		e.reads.advance(eventReadError)
	case n == 0:
		e.reads.advance(eventReadEOF)
	case n < len(p): // less than there was room for
		e.reads.advance(eventReadAll)
	}
	return max(n, 0)
}

// readTLS reads records until p is full or none is left, so that one write forwards them.
func (e *end) readTLS(p []byte) int {
	lp := e.link.loop
	lp.work.gather = lp.work.gather[:0]
	e.tls.conn.empty, e.tls.conn.hungUp = false, e.reads.hungUp()
	lp.lend(e.tls.Conn)
	n := 0
	for n < len(p) && e.reads.ready() {
		m, err := e.tls.Read(p[n:])
		n += m
		switch {
		case err == nil:
		case isWouldBlock(err):
			e.reads.advance(eventReadNothing)
		case err == io.EOF || e.isClient() && errors.Is(err, io.ErrUnexpectedEOF):
			e.reads.advance(eventReadEOF)
		default:
			e.reads.advance(eventReadError)
		}
	}
	lp.takeBack(e.tls.Conn)
	if len(lp.work.gather) > 0 { // reading may answer: a key update, an alert
		e.send(lp.work.gather)
	}
	return n
}

// discard drops what the peer sends after the end, so that it does not turn the close into a reset.
func (e *end) discard() {
	n, errno := receive(int(e.fd), e.link.loop.buf)
	switch {
	case errno == unix.EAGAIN:
		e.reads.advance(eventReadNothing)
	case errno != 0:
		e.reads.advance(eventReadError)
	case n == 0:
		e.reads.advance(eventReadEOF)
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
	if e.writes.unusable() {
		return
	}
	if len(p) > fewBytes {
		e.boundUnsent()
	}
	switch {
	case e.pending == nil && e.link.loop.queue(e, p), e.writes == writeFailed: // queue may send what was queued before
	case e.pending == nil:
		n, errno := send(int(e.fd), p)
		e.keepUnsent(p, n, errno)
	default:
		e.pending.data = append(e.pending.data, p...)
	}
}

// keepUnsent takes the result of sending p, and keeps the bytes that the kernel has not taken.
func (e *end) keepUnsent(p []byte, n int, errno syscall.Errno) {
	if errno != 0 && errno != unix.EAGAIN {
		e.fail()
		return
	}
	if errno != 0 {
		n = 0
	}
	if n < len(p) {
		e.pending = e.link.loop.lendPending()
		e.boundUnsent()
		e.pending.data = append(e.pending.data, p[n:]...)
	}
}

const (
	// fewBytes are too few for the kernel's send buffer to grow by them.
	fewBytes = 8 << 10
	// maxUnsent is how many bytes the kernel keeps that the peer's window has no room for. Bytes that are on their way
	// do not count.
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

// flush sends pending bytes.
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
		e.halfCloseIfSent()
	}
}

// fail records that no more bytes can be sent. What a mailbox server has sent before can still be read.
func (e *end) fail() {
	e.dropPending()
	e.writes.advance(eventWriteError)
	if e.isClient() {
		e.reads.advance(eventReadError)
	}
}

func (e *end) dropPending() {
	e.link.loop.recycle(e.pending)
	e.pending = nil
}

// awaitEvents sets the events that the end waits for. If the end may be read and has more, it goes on the loop's ready
// list.
func (e *end) awaitEvents(mayRead bool) {
	if e.fd < 0 {
		return
	}
	want := uint32(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET)
	if e.pending != nil {
		want |= unix.EPOLLOUT
	}
	e.setEvents(want)
	if mayRead && e.reads.ready() {
		e.link.loop.enqueue(e)
	}
}

// setEvents sets the events that epoll looks for. epoll reports each event once, when it comes (edge-triggered), so a
// hang-up is not reported over and over. The state in reads remembers what was reported while the end may not be read.
func (e *end) setEvents(want uint32) {
	if want == e.events {
		return
	}
	lp := e.link.loop
	op := unix.EPOLL_CTL_MOD
	if e.events == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	if err := lp.poller.Control(op, int(e.fd), e.slot, lp.slots[e.slot].generation, want); err != nil {
		e.reads.advance(eventReadError)
		return
	}
	e.events = want
}

// closeFD closes the descriptor. That also removes it from epoll's set.
func (e *end) closeFD() {
	if e.fd < 0 {
		return
	}
	unix.Close(int(e.fd))
	e.fd = -1
	e.events = 0
	e.held.drop()
	e.dropPending()
}
