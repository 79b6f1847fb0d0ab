package health

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"portico/backend"
)

// The check of Portico's own resources fails for the clients that found none since it looked last, and while a client
// would find none; and blames nobody else.
func TestShortage(t *testing.T) {
	counted, left := uint64(5), error(nil)
	check := Shortage(func() uint64 { return counted }, func() error { return left })
	for _, step := range []struct {
		name  string
		more  uint64
		left  error
		words string // "" if all is well
	}{
		{"what was before", 0, nil, ""},
		{"three clients", 3, nil, "3 connections and sign-ins"},
		{"nothing more", 0, nil, ""},
		{"none would find any", 0, errors.New("all are taken"), "all are taken"},
		{"room again", 0, nil, ""},
	} {
		counted += step.more
		left = step.left
		err := check(context.Background(), &Run{})
		var failure *Failure
		switch {
		case (err == nil) != (step.words == ""):
			t.Errorf("%s: %v", step.name, err)
		case err != nil && (!errors.As(err, &failure) || failure.Dependency != Portico ||
			!strings.Contains(err.Error(), step.words)):
			t.Errorf("%s: %v blames %+v", step.name, err, failure)
		}
	}
}

// What this machine lacks is blamed on Portico, wherever it shows.
func TestOwnShortageIsNobodysFault(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOMEM} {
		if f := failure(Networking, "dial", errno); f.Dependency != Portico {
			t.Errorf("%v is blamed on %s", errno, f.Dependency)
		}
	}
	if d, phase := blame(&backend.Error{Kind: backend.KindLocal, Server: "mbx1",
		Phase: backend.PhaseDial}); d != Portico || phase != backend.PhaseDial {
		t.Errorf("%s in %s is blamed", d, phase)
	}
	short := errors.New("all descriptors are taken")
	f := Front{Left: func() error { return short }}
	cause := &Failure{Networking, "greeting", errors.New("BYE")}
	var failure *Failure
	if err := f.ownFault(&Run{phase: "greeting"}, cause); !errors.As(err, &failure) || failure.Dependency != Portico ||
		!errors.Is(err, short) {
		t.Errorf("at our own listener: %v", err)
	}
	if err := f.ownFault(&Run{Endpoint: "elsewhere:993"}, cause); err != error(cause) {
		t.Errorf("at another host: %v", err)
	}
	if err := f.ownFault(&Run{}, nil); err != nil {
		t.Errorf("a success: %v", err)
	}
}
