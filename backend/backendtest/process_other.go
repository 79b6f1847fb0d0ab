//go:build !unix

package backendtest

import (
	"errors"
	"os/exec"
	"time"
)

var errEnded = errors.New("it ended by itself")

// process needs process groups, which this system has not.
type process struct{ done chan struct{} }

func startProcess(_ place, program string, _ ...string) (*process, error) {
	return nil, &MissingError{Part: program, Err: errors.ErrUnsupported}
}

func (p *process) stop(time.Duration) error { return nil }

func (p *process) kill() {}

func (p *process) interrupt() {}

func runAs(*exec.Cmd, place) {}

func (p *process) freeze(bool) error { return errors.ErrUnsupported }

func (p *process) groupAlive() bool { return false }
