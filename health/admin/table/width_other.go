//go:build !unix

package table

import (
	"os"

	"github.com/mattn/go-isatty"
)

// fileWidth knows only whether there is a terminal.
func fileWidth(file *os.File) (columns int, terminal bool) { return 0, isatty.IsTerminal(file.Fd()) }
