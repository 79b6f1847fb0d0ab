package main

import (
	"os"
	"sync"
	"time"

	"portico/bench"
)

// hdrLog has a run's intervals written to a histogram log. The result ends it, and may be called again.
func hdrLog(path string, o *bench.Options) (closeLog func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	log := bench.NewIntervalLog(f, time.Now(), "portico bench "+version()+", latencies in nanoseconds by command")
	o.Intervals = log.Write
	return sync.OnceValue(func() error {
		if err := f.Close(); err != nil {
			return err
		}
		return log.Err()
	}), nil
}
