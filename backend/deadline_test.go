package backend

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

type testKey struct{}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), testKey{}, "value"))
		d := withTimeout(parent, time.Minute)
		defer d.over()
		if at, ok := d.Deadline(); !ok || time.Until(at) != time.Minute || d.Err() != nil ||
			d.Value(testKey{}) != "value" {
			t.Errorf("before: %v %v %v %v", at, ok, d.Err(), d.Value(testKey{}))
		}
		if d.timed != nil {
			t.Error("a timer that nobody waits for")
		}
		if sooner := withTimeout(d, time.Hour); !sooner.at.Equal(d.at) {
			t.Errorf("later than the context it is made of: %v", sooner.at)
		}

		time.Sleep(time.Minute)
		if !errors.Is(d.Err(), context.DeadlineExceeded) {
			t.Errorf("late, without a timer: %v", d.Err())
		}

		waited := withTimeout(parent, time.Minute)
		defer waited.over()
		began := time.Now()
		<-waited.Done()
		if !errors.Is(waited.Err(), context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("waited for: %v after %v", waited.Err(), time.Since(began))
		}

		derived, stop := context.WithCancel(withTimeout(parent, time.Minute)) // it waits for its parent
		defer stop()
		ended := withTimeout(parent, time.Minute)
		defer ended.over()
		cancel()
		<-derived.Done()
		if !errors.Is(ended.Err(), context.Canceled) || !errors.Is(derived.Err(), context.Canceled) {
			t.Errorf("ended from outside: %v, %v", ended.Err(), derived.Err())
		}

		over := withTimeout(t.Context(), time.Minute)
		over.Done()
		over.over()
		<-over.Done()
	})
}

// A dialer of the standard library keeps to it.
func TestDeadlineOfADialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := withTimeout(t.Context(), time.Minute)
		defer d.over()
		time.Sleep(time.Minute) // the dialer looks at the clock before it connects
		var timeout net.Error
		if _, err := new(net.Dialer).DialContext(d, "tcp", "127.0.0.1:1"); !errors.As(err, &timeout) ||
			!timeout.Timeout() {
			t.Errorf("%v", err)
		}
	})
}
