package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine names the machine the tool runs on: system, kernel, and CPUs. proc is /proc.
func machine(proc string) string {
	text := fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, err := os.ReadFile(proc + "/cpuinfo"); err == nil {
		for line := range bytes.Lines(info) {
			if name, value, found := bytes.Cut(line, []byte{':'}); found &&
				strings.TrimSpace(string(name)) == "model name" {
				text += " (" + shown(strings.TrimSpace(string(value)), credential{}) + ")"
				break
			}
		}
	}
	if release, err := os.ReadFile(proc + "/sys/kernel/osrelease"); err == nil {
		text += ", kernel " + shown(strings.TrimSpace(string(release)), credential{})
	}
	return text
}
