//go:build !linux

package setup

// Start returns Threads that start a goroutine for each set-up.
func Start(opts Options) (Threads, error) { return newGoroutines(opts), nil }
