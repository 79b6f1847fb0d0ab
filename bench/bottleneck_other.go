//go:build !linux

package bench

import (
	"fmt"
	"runtime"
)

// readToolMark has nothing to read.
func readToolMark(string) toolMark { return toolMark{} }

// machine names the machine the tool runs on.
func machine(string) string {
	return fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}
