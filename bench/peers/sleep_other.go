//go:build unix && !linux

package peers

import "time"

func sleep(d time.Duration) { time.Sleep(d) }
