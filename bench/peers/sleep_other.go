//go:build !linux

package peers

import "time"

func sleep(d time.Duration) { time.Sleep(d) }
