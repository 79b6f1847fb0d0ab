//go:build unix

package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// system is where the other proxies come from: this machine, or a folder with another Debian, which [enterRoot]
// enters.
type system struct {
	self   string // this program, which has roles
	root   string // "" is this machine
	hybrid bool   // its OpenSSL has the key exchange X25519MLKEM768
}

// newSystem asks the system's OpenSSL, once, what it has: X25519MLKEM768 came with 3.5.
func newSystem(self, root string) system {
	y := system{self: self, root: root}
	var major, minor int
	fmt.Sscanf(y.says("openssl", "version"), "OpenSSL %d.%d", &major, &minor)
	y.hybrid = major > 3 || major == 3 && minor >= 5
	return y
}

// command returns the arguments that run one of the system's programs.
func (y system) command(program string, args ...string) []string {
	if y.root == "" {
		return append([]string{program}, args...)
	}
	return append([]string{y.self, "inside", y.root, program}, args...)
}

// says returns the first line that a program prints about itself.
func (y system) says(program string, args ...string) string {
	return firstLine(y.command(program, args...))
}

func firstLine(command []string) string {
	text, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(string(text), "\n")
	if err != nil {
		return fmt.Sprintf("unknown (%v: %s)", err, line)
	}
	return line
}

// name is the release, as in "Debian 13".
func (y system) name() string {
	text, err := os.ReadFile(filepath.Join("/", y.root, "etc/os-release"))
	if err != nil {
		return "unknown system"
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[key] = strings.Trim(value, `"`)
	}
	name, _, _ := strings.Cut(fields["NAME"], " ")
	return strings.TrimSpace(name + " " + fields["VERSION_ID"])
}

// groups are the key exchanges that the peers offer, as OpenSSL lists them. A client chooses by what it offers itself.
func (y system) groups() string {
	if y.hybrid {
		return "X25519MLKEM768:X25519"
	}
	return "X25519"
}
