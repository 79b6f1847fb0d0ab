// Package release says which Portico this is. It knows only what the Go tool wrote into the program.
package release

import (
	"cmp"
	"runtime/debug"
	"slices"
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

// Revision returns the hash of the commit that the program was built from; "unknown" if the Go tool wrote none.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
	if i < 0 {
		return "unknown"
	}
	return info.Settings[i].Value
}
