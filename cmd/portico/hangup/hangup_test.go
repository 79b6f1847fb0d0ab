//go:build unix

package hangup

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// A process that is to serve outlives SIGHUP before it listens for it; others end with their terminal.
func TestOutlive(t *testing.T) {
	heard := make(chan os.Signal, 1)
	for _, c := range []struct {
		args string
		want bool
	}{{"log tail", false}, {"--help", false}, {"serve -c x", true}, {"demo", true}} {
		signal.Notify(heard, syscall.SIGHUP) // so that it is not ignored
		signal.Stop(heard)
		outlive(strings.Fields(c.args))
		if got := signal.Ignored(syscall.SIGHUP); got != c.want {
			t.Errorf("%s: ignored is %v", c.args, got)
		}
	}
	signal.Notify(heard, syscall.SIGHUP)
	signal.Stop(heard)
}
