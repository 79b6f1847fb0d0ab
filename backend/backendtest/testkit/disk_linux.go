package testkit

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallDisk returns a folder that takes only some bytes, and what gives it room. Where a file system can not be mounted, files may not grow
// instead.
func SmallDisk(t testing.TB) (dir string, free func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err == nil {
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		filler := filepath.Join(dir, "filler")
		if err := os.WriteFile(filler, make([]byte, 48<<10), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir, func() { os.Remove(filler) }
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	small := unix.Rlimit{Cur: 16 << 10, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	free = func() { unix.Setrlimit(unix.RLIMIT_FSIZE, &before) }
	t.Cleanup(free)
	return dir, free
}
