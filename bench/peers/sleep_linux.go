package peers

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleep blocks the thread. The runtime's timers are late by up to a millisecond, which is what is to be measured.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&ts, nil) // early by a signal at worst
}
