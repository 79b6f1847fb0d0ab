package handover

import "golang.org/x/sys/unix"

// Peer is the number of the process at the other end, as the kernel knows it: who has opened the socket that was
// dialed. It is 0 if this is not known, as for one in another container.
func (c *Conn) Peer() (pid int) {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(peer.Pid)
		}
	})
	return pid
}
