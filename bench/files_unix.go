//go:build unix

package bench

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// spareFiles is the number of descriptors for everything but connections.
const spareFiles = 64

// raiseFiles raises the limit of open files to what the connections need, or returns an error. Otherwise sessions
// would fail for lack of descriptors, as if the server had failed.
func raiseFiles(o Options) error {
	need := uint64(o.Sessions)*o.Profile.connections() + spareFiles
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur >= need {
		return nil
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < need {
		return fmt.Errorf("%d sessions need %d open files, and the limit is %d (ulimit -Hn)", o.Sessions,
			need, limit.Max)
	}
	return nil
}
