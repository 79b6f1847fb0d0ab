package testkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallDisk returns a folder that takes only some bytes, and what gives it room. Where a file system cannot be
// mounted, files may not grow instead.
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

// SmallVolume puts a volume of a megabyte below a folder, with the folder's files and their owners. fill leaves no
// room on it, and free makes room again. It skips the test where no file system can be mounted.
func SmallVolume(t testing.TB, dir string) (fill, free func()) {
	t.Helper()
	aside := t.TempDir()
	copyOwned(t, dir, aside)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		Lack(t, fmt.Errorf("mount a small volume: %w", err))
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	copyOwned(t, aside, dir)
	filler := filepath.Join(dir, "filler")
	fill = func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, size := range []int{4 << 10, 1} { // whole pages first
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}
	}
	return fill, func() { os.Remove(filler) }
}

// copyOwned copies a folder's files, their modes and owners.
func copyOwned(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		at := filepath.Join(to, path[len(from):])
		if entry.IsDir() {
			err = os.MkdirAll(at, 0o700)
		} else {
			var text []byte
			if text, err = os.ReadFile(path); err == nil {
				err = os.WriteFile(at, text, 0o600)
			}
		}
		owner := info.Sys().(*syscall.Stat_t)
		return errors.Join(err, os.Chown(at, int(owner.Uid), int(owner.Gid)), os.Chmod(at, info.Mode().Perm()))
	})
	if err != nil {
		t.Fatal(err)
	}
}
