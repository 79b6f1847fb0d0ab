//go:build !linux

package relay

// drivers are all that this system has.
var drivers = []driver{pumps}
