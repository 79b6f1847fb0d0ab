//go:build !race

package setup

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receive and send do not tell the Go scheduler: on a non-blocking descriptor the kernel answers at once.
func receive(fd int, p []byte) (int, syscall.Errno) {
	return socketCall(syscall.SYS_RECVFROM, fd, p, 0)
}

func send(fd int, p []byte) (int, syscall.Errno) {
	return socketCall(syscall.SYS_SENDTO, fd, p, unix.MSG_NOSIGNAL)
}

func socketCall(call uintptr, fd int, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), flags, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}
