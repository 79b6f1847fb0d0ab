//go:build race

package setup

import "syscall"

// receive and send use the library, so that the race detector knows what the peer did before.
func receive(fd int, p []byte) (int, syscall.Errno) { return again(syscall.Read, fd, p) }
func send(fd int, p []byte) (int, syscall.Errno)    { return again(syscall.Write, fd, p) }

func again(call func(int, []byte) (int, error), fd int, p []byte) (int, syscall.Errno) {
	for {
		n, err := call(fd, p)
		if errno, _ := err.(syscall.Errno); errno != syscall.EINTR {
			return n, errno
		}
	}
}
