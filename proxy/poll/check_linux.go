package poll

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Check says why this process cannot have a Poller at all, nil if it can. That descriptors or memory are short now is
// no such reason.
func Check() error {
	p, err := New()
	if err == nil {
		p.Release()
		return nil
	}
	if Forbidden(err) {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// Forbidden says whether the error of a system call means that the kernel does not have the call, or that its rules
// (as a seccomp filter's) keep this process from it.
func Forbidden(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}
