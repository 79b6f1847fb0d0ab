package admin

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who is at the other end of a Unix socket: who it was when it connected.
func peerOf(conn net.Conn) (p peer, ok bool) {
	raw, isUnix := conn.(*net.UnixConn)
	if !isUnix {
		return p, false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return p, false
	}
	var found *unix.Ucred
	if controlErr := control.Control(func(fd uintptr) {
		found, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil || err != nil {
		return p, false
	}
	return peer{uid: found.Uid, pid: found.Pid}, true
}
