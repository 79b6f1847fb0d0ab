//go:build unix

package table

import (
	"os"

	"golang.org/x/sys/unix"
)

// fileWidth returns the width of a terminal.
func fileWidth(file *os.File) (columns int, terminal bool) {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}
