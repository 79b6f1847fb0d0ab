package relay

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"portico/backend/backendtest/testkit"
)

// lasting is an error that crypto/tls remembers, as a later version might remember a temporary one.
type lasting struct{ error }

func (lasting) Timeout() bool   { return true }
func (lasting) Temporary() bool { return false }

func TestCheckTLS(t *testing.T) {
	testkit.NoLeaks(t)
	if err := checkTLS(errWouldBlock); err != nil {
		t.Errorf("event loops work with this crypto/tls, and yet: %v", err)
	}
	for _, err := range []error{errors.New("no network error"), lasting{os.ErrDeadlineExceeded}} {
		if checkTLS(err) == nil {
			t.Errorf("%T is taken for a temporary error", err)
		}
	}
}

// Where the check finds a fault, sessions are carried by Pumps, and whoever starts the relay learns why, once.
func TestNewFallsBack(t *testing.T) {
	testkit.NoLeaks(t)
	fault := errors.New("crypto/tls remembers")
	var reasons []error
	r, err := New(complete(Options{
		Check:    func() error { return fmt.Errorf("check: %w", fault) },
		FellBack: func(reason error) { reasons = append(reasons, reason) },
	}))
	if err != nil {
		t.Fatal(err)
	}
	rg := &rig{t: t, relay: r, ways: ways{true, true}}
	t.Cleanup(rg.close)
	if _, ok := r.(*Pumps); !ok {
		t.Errorf("sessions are carried by %T", r)
	}
	tk := rg.start()
	tk.answers()
	if checksLoops && (len(reasons) != 1 || !errors.Is(reasons[0], fault)) {
		t.Errorf("reasons %v", reasons)
	}
}
