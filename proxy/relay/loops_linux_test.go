package relay

import (
	"errors"
	"testing"

	"portico/backend/backendtest/testkit"
)

// checksLoops says whether New checks event loops.
const checksLoops = true

func TestNewStartsLoops(t *testing.T) {
	testkit.NoLeaks(t)
	r, err := New(complete(Options{FellBack: func(reason error) { t.Errorf("fell back: %v", reason) }}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, ok := r.(*Loops); !ok {
		t.Errorf("sessions are carried by %T", r)
	}
}

// An operator who has asked for io_uring does not get something else.
func TestNewDoesNotFallBackFromIOUring(t *testing.T) {
	fault := errors.New("no epoll")
	if r, err := New(complete(Options{IO: IOUring, Check: func() error { return fault }})); !errors.Is(err, fault) {
		t.Errorf("%T, %v", r, err)
	}
}
