package backend

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of sign-ins that are held.
const (
	maxHeld  = 10_000           // of one database; more are refused
	holdTime = 30 * time.Second // then a sign-in is refused
	// quietTime is how long a move waits for sign-ins in progress.
	quietTime = time.Minute
)

// signinHold counts the sign-ins in progress to a database or of a user, and holds new ones during a move. The
// manager's mutex guards it.
type signinHold struct {
	signIns int
	idle    chan struct{} // while held: closed when no sign-in is in progress
	held    chan struct{} // while held: closed when sign-ins may continue
	waiting int           // sign-ins that are held
	told    bool          // while held: that another writer moves the same
}

// errStillHeld says that the time of a held sign-in is over.
var errStillHeld = errors.New("timed out waiting for a move to end")

// await waits until the hold ends, for d at most, or until the client closes its side. It releases the mutex
// meanwhile.
func (m *ActiveManager) await(ctx context.Context, h *signinHold, d time.Duration, by waiting) error {
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

// signInOver counts one sign-in less.
func (h *signinHold) signInOver() {
	if h.signIns = max(h.signIns-1, 0); h.signIns == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// hold holds new sign-ins, or keeps them held. It returns a channel that is closed when no sign-in is in progress.
func (h *signinHold) hold() chan struct{} {
	if h.held == nil {
		h.held = make(chan struct{})
	}
	return h.quiet()
}

// quiet returns a channel that is closed when no sign-in is in progress.
func (h *signinHold) quiet() chan struct{} {
	quiet := make(chan struct{})
	if h.signIns == 0 {
		close(quiet)
	} else {
		h.idle = quiet
	}
	return quiet
}

// resume ends the hold, if there is one.
func (h *signinHold) resume() {
	if h.held != nil {
		close(h.held)
	}
	h.held, h.idle, h.told = nil, nil, false
}

// waitForSignIns waits until no sign-in is in progress.
func waitForSignIns(ctx context.Context, quiet <-chan struct{}) error {
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
