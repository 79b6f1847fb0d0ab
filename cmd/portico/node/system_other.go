//go:build !unix

package node

import (
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
)

// descriptorLimit returns 0: no limit is known.
func descriptorLimit() uint64 { return 0 }

// descriptorLeft knows of no limit.
func descriptorLeft() error { return nil }

// noDelay does nothing: what is accepted gets it from the Go library.
func noDelay(_, _ string, _ syscall.RawConn) error { return nil }

// sharePort does nothing: the port is in use for the next one.
func sharePort(syscall.RawConn, bool) {}

// checkAccepts knows of no sockets that were given.
func checkAccepts(syscall.RawConn) error { return nil }

func reloadingState() string { return daemon.SdNotifyReloading }

// identityOf knows nobody's.
func identityOf(*os.File) string { return "" }
