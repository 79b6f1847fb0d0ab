//go:build !linux

package relay

// checksLoops says whether New checks event loops.
const checksLoops = false

// drivers are all that this system has.
var drivers = []driver{pumps}
