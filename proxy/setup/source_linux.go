package setup

import (
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind binds a socket to a source address. The port is left to connect(2), which knows the other side: bound earlier, a port is taken for
// all destinations, and they run out.
func bind(fd int, source netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	sa, _ := sockaddrOf(netip.AddrPortFrom(source, 0))
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

// withoutPort is a net.Dialer's Control that leaves the port to connect(2).
func withoutPort(_, _ string, c syscall.RawConn) error {
	var err error
	set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) }
	return errors.Join(c.Control(set), err)
}
