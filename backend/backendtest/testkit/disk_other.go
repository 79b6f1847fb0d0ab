//go:build !linux

package testkit

import (
	"errors"
	"testing"
)

// SmallDisk skips the test on this system.
func SmallDisk(t testing.TB) (dir string, free func()) {
	t.Helper()
	Lack(t, errors.New("only Linux bounds what a file system takes"))
	return "", nil
}
