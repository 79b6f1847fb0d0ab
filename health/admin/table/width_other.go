//go:build !unix

package table

import (
	"os"

	"github.com/mattn/go-isatty"
)

// fileWidth knows only whether the file is a terminal.
func fileWidth(file *os.File) (columns int, terminal bool) { return 0, isatty.IsTerminal(file.Fd()) }
