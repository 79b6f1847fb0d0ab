//go:build unix

package admin

import (
	"errors"
	"syscall"
)

// refused tells that nobody listens on a socket, from other failures to connect.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
