package backendtest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// blackholeTries is the highest number of connections to fill the queue; Linux needs one or two.
const blackholeTries = 16

// Blackhole is a loopback address where a connection attempt gets no answer at all, as
// if its packets were lost: it listens, but its queue is full.
type Blackhole struct {
	addr string
	fds  []int // the listener and what fills its queue
}

// StartBlackhole opens one. Only Linux is known to drop a connection attempt when the
// queue is full; elsewhere the error is errors.ErrUnsupported.
func StartBlackhole() (*Blackhole, error) {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("blackhole: socket: %w", err)
	}
	b := &Blackhole{fds: []int{ln}}
	if err := b.fill(ln); err != nil {
		return nil, errors.Join(fmt.Errorf("blackhole: %w", err), b.Close())
	}
	return b, nil
}

// fill listens with the shortest queue and connects until the queue is full.
func (b *Blackhole) fill(ln int) error {
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(ln, 0); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	addr, err := unix.Getsockname(ln)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	b.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(addr.(*unix.SockaddrInet4).Port))
	for range blackholeTries {
		answered, err := b.connect(addr)
		if err != nil || !answered {
			return err
		}
	}
	return fmt.Errorf("the queue takes more than %d connections", blackholeTries)
}

// connect reports whether one more connection is answered, and keeps it either way.
func (b *Blackhole) connect(addr unix.Sockaddr) (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("socket: %w", err)
	}
	b.fds = append(b.fds, fd)
	if err := unix.Connect(fd, addr); err == nil {
		return true, nil
	} else if !errors.Is(err, unix.EINPROGRESS) {
		return false, fmt.Errorf("connect: %w", err)
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(poll, int((100 * time.Millisecond).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// Addr returns the address that does not answer.
func (b *Blackhole) Addr() string { return b.addr }

// Close closes the listener. From then on connection attempts are refused.
func (b *Blackhole) Close() error {
	var errs []error
	for _, fd := range b.fds {
		errs = append(errs, unix.Close(fd))
	}
	b.fds = nil
	return errors.Join(errs...)
}
