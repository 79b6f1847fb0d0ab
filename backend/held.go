package backend

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Of sign-ins that are held.
const (
	maxHeld  = 10_000           // of one database; more are refused
	holdTime = 30 * time.Second // then it is refused
	// quietTime is how long a move waits for sign-ins under way.
	quietTime = time.Minute
)

// held counts sign-ins that are under way, and holds those to come while something moves. It is guarded by the
// manager's mutex.
type held struct {
	signIns int
	idle    chan struct{} // while held: closed when no sign-in is under way any more
	held    chan struct{} // while held: closed when sign-ins may go on
	waiting int           // sign-ins that are held
}

// errStillHeld says that a sign-in has waited for as long as it was to.
var errStillHeld = errors.New("timed out waiting for a move to end")

// await waits until what is held is let go, but for d at most, and until the client closes its side. The mutex is free
// meanwhile.
func (m *ActiveManager) await(ctx context.Context, h *held, d time.Duration, by waiting) error {
	if h.waiting >= maxHeld {
		return fmt.Errorf("%d sign-ins are waiting already", h.waiting)
	}
	h.waiting++
	held := h.held
	m.mu.Unlock()
	err, closedSide := errStillHeld, by.closed()
	by.wait(ctx, func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-held:
			err = nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-closedSide:
		case <-timer.C:
		}
		if closed(held) { // beside a deadline, the event counts
			err = nil
		}
	})
	m.mu.Lock()
	h.waiting--
	return err
}

// over counts one sign-in less.
func (h *held) over() {
	if h.signIns = max(h.signIns-1, 0); h.signIns == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// hold holds the sign-ins to come. What it returns is closed when none is under way any more.
func (h *held) hold() (quiet chan struct{}) {
	h.held = make(chan struct{})
	quiet = make(chan struct{})
	if h.signIns == 0 {
		close(quiet)
	} else {
		h.idle = quiet
	}
	return quiet
}

// letGo lets them go on.
func (h *held) letGo() {
	close(h.held)
	h.held, h.idle = nil, nil
}

// calm waits until no sign-in is under way any more.
func calm(ctx context.Context, quiet <-chan struct{}) error {
	patient, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	select {
	case <-quiet:
	case <-patient.Done():
		if !closed(quiet) {
			return fmt.Errorf("wait for the sign-ins in progress: %w", context.Cause(patient))
		}
	}
	return nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
