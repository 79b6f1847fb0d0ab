// Package hangup keeps SIGHUP from ending a process that is about to serve.
//
// It works by being imported. Go initialises a package as soon as its own imports are ready, in the order of the
// import paths, so this package imports little: most packages of the binary, and all of other authors, are initialised
// after it. Before it runs, SIGHUP ends the process, unless the process inherited it as ignored (nohup).
package hangup

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func init() { outlive(os.Args[1:]) }

// outlive ignores SIGHUP until serve asks for it. The reload that it requests is not lost: serve reads the
// configuration later than this. Other commands end with their terminal.
func outlive(args []string) {
	if slices.Contains(args, "serve") || slices.Contains(args, "demo") {
		signal.Ignore(syscall.SIGHUP)
	}
}
