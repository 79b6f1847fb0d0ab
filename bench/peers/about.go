//go:build unix

package peers

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// about starts each peer once and returns lines on versions and the machine.
func about(s *site, all []starter) ([]string, error) {
	running, err := startAll(s, all)
	stopAll(running)
	if err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("Measured on %s.", time.Now().UTC().Format(time.DateOnly)), "",
		fmt.Sprintf("- Machine: %s, %d cores, Linux %s", cpuModel(), runtime.NumCPU(),
			fileLine("/proc/sys/kernel/osrelease"))}
	for _, p := range running {
		lines = append(lines, fmt.Sprintf("- %s: %s", p.Name, p.Version))
	}
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err == nil {
		lines = append(lines, "- Portico's commit: "+strings.TrimSpace(string(commit)))
	}
	return append(lines, "- Go: "+runtime.Version()+"; OpenSSL, used by the peers: "+
		s.system.says("openssl", "version")), nil
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func fileLine(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}
