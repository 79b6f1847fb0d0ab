//go:build !linux

package testkit

import (
	"errors"
	"testing"
)

var errSmallVolume = errors.New("only Linux bounds what a file system takes")

// SmallDisk skips the test on this system.
func SmallDisk(t testing.TB) (dir string, free func()) {
	t.Helper()
	Lack(t, errSmallVolume)
	return "", nil
}

// SmallVolume skips the test on this system.
func SmallVolume(t testing.TB, _ string) (fill, free func()) {
	t.Helper()
	Lack(t, errSmallVolume)
	return nil, nil
}
