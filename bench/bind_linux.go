package bench

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindWithoutPort lets the kernel choose the source port at connect(2), when the destination is known. A port that is
// bound earlier is taken for all destinations, and ports run out.
func bindWithoutPort(_, _ string, c syscall.RawConn) error {
	var err error
	set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) }
	return errors.Join(c.Control(set), err)
}
