package backendtest

import (
	"errors"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// sinkHasLoop says whether serveLoop is there.
const sinkHasLoop = true

// sinkEvents is edge-triggered for both ways: no system call changes it later. An edge
// is spent by a read that came back short or by a write that would block.
const sinkEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// sinkLoop serves all plain connections of one listener from one thread.
type sinkLoop struct {
	sink         *Sink
	epoll        int
	listen, wake int
	conns        []*sinkConn // by descriptor
	in, out      []byte      // shared by all connections
	two          [2][]byte   // what writeTwo writes, here so that it is not allocated
}

// sinkConn is one connection. What the client does not take yet is in head and body,
// and then nothing more of it is read.
type sinkConn struct {
	fd       int
	dialogue sinkDialogue
	rest     []byte // read, but not taken yet
	head     []byte // to be written first
	body     int    // filler bytes to be written after it
	at       int    // where in the filler they begin
	ending   bool   // the client's end was seen: reading must go on until there
}

func (s *Sink) serveLoop(ln *net.TCPListener) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &sinkLoop{sink: s, in: make([]byte, sinkInput), out: make([]byte, 0, sinkOutput+sinkInlineBody)}
	raw, err := ln.SyscallConn()
	if err != nil {
		return fmt.Errorf("sink: listener: %w", err)
	}
	// A descriptor of our own: the listener's is closed at any time.
	dup := func(fd uintptr) { l.listen, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }
	if err := errors.Join(raw.Control(dup), err); err != nil {
		return fmt.Errorf("sink: listener: %w", err)
	}
	defer unix.Close(l.listen)
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("sink: epoll: %w", err)
	}
	defer unix.Close(l.epoll)
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("sink: eventfd: %w", err)
	}
	done, woken := make(chan struct{}), make(chan struct{})
	go l.wakeAtClose(done, woken)
	defer func() {
		close(done)
		<-woken
		unix.Close(l.wake)
	}()
	return l.run()
}

// wakeAtClose ends the loop's waiting when the sink is closed.
func (l *sinkLoop) wakeAtClose(done <-chan struct{}, woken chan<- struct{}) {
	defer close(woken)
	select {
	case <-l.sink.closed:
		unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	case <-done:
	}
}

func (l *sinkLoop) run() error {
	defer l.closeAll()
	for _, fd := range []int{l.listen, l.wake} {
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd,
			&unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return fmt.Errorf("sink: epoll: %w", err)
		}
	}
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sink: wait: %w", err)
		}
		for i := range max(n, 0) {
			switch fd := int(events[i].Fd); fd {
			case l.wake:
				return nil
			case l.listen:
				l.accept()
			default:
				l.serve(fd, events[i].Events)
			}
		}
	}
}

// accept takes all connections that wait. Out of descriptors, they keep waiting.
func (l *sinkLoop) accept() {
	for {
		fd, _, err := unix.Accept4(l.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for fd >= len(l.conns) {
			l.conns = append(l.conns, nil)
		}
		c := &sinkConn{fd: fd}
		l.conns[fd] = c
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: sinkEvents, Fd: int32(fd)})
		if err == nil {
			err = l.write(c, []byte(sinkGreeting), 0)
		}
		if err != nil {
			l.close(c)
		}
	}
}

// serve goes on with a connection on which something may have happened. An event that
// was meant for an earlier holder of the descriptor does no harm.
func (l *sinkLoop) serve(fd int, events uint32) {
	if fd >= len(l.conns) || l.conns[fd] == nil {
		return
	}
	c := l.conns[fd]
	c.ending = c.ending || events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	if err := l.exchange(c); err != nil {
		l.close(c)
	}
}

// exchange writes what is left, then reads and answers until nothing more comes.
func (l *sinkLoop) exchange(c *sinkConn) error {
	if err := l.flush(c); err != nil {
		return err
	}
	if c.blocked() {
		return nil
	}
	// Behind a pause, what was read before it goes first.
	kept := copy(l.in, c.rest)
	c.rest = c.rest[:0]
	if err := l.answer(c, l.in[:kept]); err != nil {
		return err
	}
	for !c.blocked() {
		kept = copy(l.in, c.rest)
		if kept > sinkMaxLine {
			return errSinkHangUp
		}
		n, err := unix.Read(c.fd, l.in[kept:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return errSinkHangUp
		}
		c.rest = c.rest[:0]
		if err := l.answer(c, l.in[:kept+n]); err != nil {
			return err
		}
		if kept+n < len(l.in) && !c.ending {
			return nil // that was all; more makes a new edge
		}
	}
	return nil
}

// answer answers what was read and keeps the rest: the beginning of a line, or all
// that stands behind an answer which is not taken yet.
func (l *sinkLoop) answer(c *sinkConn, in []byte) error {
	for {
		rest, out, body, stop := c.dialogue.run(in, l.out[:0])
		l.out = out
		in = rest
		if err := l.write(c, out, body); err != nil {
			return err
		}
		if stop != nil {
			return stop
		}
		if c.blocked() || len(out) == 0 {
			break
		}
	}
	if len(in) == 0 && cap(c.rest) > sinkPrivate {
		c.rest = nil // idle connections are to be cheap
	}
	c.rest = append(c.rest, in...)
	return nil
}

// blocked reports whether the client has not taken all yet.
func (c *sinkConn) blocked() bool { return len(c.head) > 0 || c.body > 0 }

// write sends out and then a body of the given size, and keeps what is not taken.
func (l *sinkLoop) write(c *sinkConn, out []byte, body int) error {
	c.body, c.at = body, 0
	left, err := l.send(c, out)
	c.head = append(c.head, left...)
	return err
}

// flush goes on with what was kept.
func (l *sinkLoop) flush(c *sinkConn) error {
	left, err := l.send(c, c.head)
	if c.head = c.head[:copy(c.head, left)]; len(left) == 0 {
		c.head = nil
	}
	return err
}

// send writes head and the connection's body until all is gone or the client takes no
// more; it returns what is left of head.
func (l *sinkLoop) send(c *sinkConn, head []byte) ([]byte, error) {
	for len(head) > 0 || c.body > 0 {
		body := l.sink.filler[c.at:min(c.at+c.body, len(l.sink.filler))]
		n, err := l.writeTwo(c.fd, head, body)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return head, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		ofHead := min(n, len(head))
		head = head[ofHead:]
		c.body -= n - ofHead
		c.at = (c.at + n - ofHead) % len(l.sink.filler)
	}
	return nil, nil
}

func (l *sinkLoop) writeTwo(fd int, head, body []byte) (int, error) {
	switch {
	case len(body) == 0:
		return unix.Write(fd, head)
	case len(head) == 0:
		return unix.Write(fd, body)
	}
	l.two = [2][]byte{head, body}
	return unix.Writev(fd, l.two[:])
}

func (l *sinkLoop) close(c *sinkConn) {
	unix.Close(c.fd)
	l.conns[c.fd] = nil
}

func (l *sinkLoop) closeAll() {
	for _, c := range l.conns {
		if c != nil {
			l.close(c)
		}
	}
}
