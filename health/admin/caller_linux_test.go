package admin

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// becomeForGood gives the thread of the calling goroutine another user and group. The thread is never used for
// anything else.
func becomeForGood(uid, gid int) {
	runtime.LockOSThread() // and never unlocked, so that the thread ends
	unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0)
	unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
	unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
}

// ask sends a request from this thread, and returns the status, or why it cannot connect.
func ask(t *testing.T, path, method, page string) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return err.Error()
	}
	unix.Write(fd,
		fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			method, page))
	buf := make([]byte, 64)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return err.Error()
	}
	words := strings.Fields(string(buf[:n]))
	return words[1]
}
