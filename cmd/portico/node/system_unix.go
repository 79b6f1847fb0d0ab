//go:build unix

package node

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// descriptorLimit returns how many descriptors the process may have; a session takes two. Go has raised the soft limit
// to the hard one before main.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}

// descriptorLeft says why there is no descriptor left for a client, nil if there is one. The system gives the lowest
// number that is free.
func descriptorLeft() error {
	limit := descriptorLimit()
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("none of %d file descriptors is free: %w", limit, err)
	}
	defer unix.Close(fd)
	if kept := keptDescriptors(limit); kept > 0 && fd >= kept {
		return fmt.Errorf("all descriptors for clients are in use; %d of %d are reserved",
			limit-uint64(kept), limit)
	}
	return nil
}

// noDelay sets TCP_NODELAY on a socket that is about to listen.
func noDelay(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) })
}

// sharePort sets whether sockets of the same user may listen to the same port. If the system refuses, the port is in
// use for the next one.
func sharePort(c syscall.RawConn, share bool) {
	value := 0
	if share {
		value = 1
	}
	c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value) })
}

// checkAccepts returns why a descriptor is no socket that accepts connections.
func checkAccepts(c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) {
		kind, no := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		if no != nil {
			err = no
			return
		}
		accepts, no := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if no != nil || kind != unix.SOCK_STREAM || accepts == 0 {
			err = fmt.Errorf("%s accepts no connections: its unit needs ListenStream= and Accept=no", localAddress(fd))
		}
	})
	return cmp.Or(failed, err)
}

// localAddress is a socket's address in words.
func localAddress(fd uintptr) string {
	address, err := unix.Getsockname(int(fd))
	if err != nil {
		return err.Error()
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrUnix:
		return a.Name
	}
	return fmt.Sprintf("%T", address)
}

// reloadingState carries the time, by which systemd (Type=notify-reload) tells this reload from earlier ones.
func reloadingState() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return daemon.SdNotifyReloading
	}
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000)
}

// identityOf is a file's device and inode, as systemd writes them; "" if nobody knows.
func identityOf(file *os.File) string {
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
