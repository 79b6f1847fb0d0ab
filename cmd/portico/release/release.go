// Package release says which Portico this is. It knows only what the Go tool wrote into the program.
package release

import (
	"cmp"
	"runtime/debug"
)

// Version returns the tag or commit that the program was built from, and whether there were changes on top; "unknown"
// if the Go tool wrote none.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "unknown")
}
