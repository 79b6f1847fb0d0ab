package setup

import (
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind binds a socket to a source address. connect(2) chooses the port, because it knows the destination: a port that
// bind chooses is taken for all destinations, and ports would run out.
func bind(fd int, source netip.Addr) error {
	if errno := switchOn(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT); errno != 0 {
		return os.NewSyscallError("setsockopt", errno)
	}
	if errno := addressCall(syscall.SYS_BIND, fd, netip.AddrPortFrom(source, 0)); errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

// control is a net.Dialer's Control that bounds the receive buffer, and leaves the source port to connect(2).
func (d Dialer) control(_, _ string, c syscall.RawConn) error {
	var port error
	err := c.Control(func(fd uintptr) {
		d.boundReceived(int(fd))
		if d.Source.IsValid() {
			port = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
	})
	return errors.Join(err, port)
}

// boundReceived bounds a socket's receive buffer before it connects, because connecting fixes the window scale. If that
// fails, only the bound is missing.
func (d Dialer) boundReceived(fd int) {
	if d.ReceiveMemory > 0 {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, d.ReceiveMemory/2) // the kernel doubles it
	}
}
