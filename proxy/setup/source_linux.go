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
	if errno := switchOn(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT); errno != 0 {
		return os.NewSyscallError("setsockopt", errno)
	}
	if errno := addressCall(syscall.SYS_BIND, fd, netip.AddrPortFrom(source, 0)); errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

// withoutPort is a net.Dialer's Control that leaves the port to connect(2).
func withoutPort(_, _ string, c syscall.RawConn) error {
	var err error
	set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) }
	return errors.Join(c.Control(set), err)
}
