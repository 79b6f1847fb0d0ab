package setup

import (
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind binds a socket to a source address. The port is left to connect(2), which knows the other side: bound earlier,
// a port is taken for all destinations, and they run out.
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

// boundReceived bounds a socket's receive buffer before it connects, since the scale of the window is fixed then. A
// failure costs nothing but the bound.
func (d Dialer) boundReceived(fd int) {
	if d.ReceiveMemory > 0 {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, d.ReceiveMemory/2) // the kernel doubles it
	}
}
