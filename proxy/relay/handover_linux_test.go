package relay

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"portico/backend/backendtest/testkit"
)

// bare is a connection whose descriptor nobody gets.
type bare struct{ net.Conn }

// stuck is one of a thread, which does not give its descriptor away.
type stuck struct{ net.Conn }

var errStuck = errors.New("stuck")

func (stuck) Detach() (int, error) { return -1, errStuck }

// mad is one of a thread that fails in the worst way.
type mad struct{ net.Conn }

func (mad) Detach() (int, error) { panic("mad") }

// addOrPanic is Relay.Add. The value of a panic is an error too.
func addOrPanic(r Relay, s Session) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%w: %v", errPanicked, value)
		}
	}()
	return r.Add(s)
}

var errPanicked = errors.New("panicked")

// When a hand-over fails or panics, whichever end it is, both connections are closed, the owner is told once, and
// other sessions go on.
func TestAFailedHandOver(t *testing.T) {
	testkit.NoLeaks(t)
	ends := map[string]func(*Session) *End{
		"client": func(s *Session) *End { return &s.Client },
		"server": func(s *Session) *End { return &s.Upstream },
	}
	for _, test := range []struct {
		name   string
		driver driver
		wrap   func(net.Conn) net.Conn
		want   error
	}{
		{"no descriptor", loopDrivers[0], func(c net.Conn) net.Conn { return bare{c} }, errNoDescriptor},
		{"not given away", loopDrivers[0], func(c net.Conn) net.Conn { return stuck{c} }, errStuck},
		{"closed", loopDrivers[0], func(c net.Conn) net.Conn { c.Close(); return c }, net.ErrClosed},
		{"not given away to pumps", pumps, func(c net.Conn) net.Conn { return stuck{c} }, errStuck},
		{"panics", loopDrivers[0], func(c net.Conn) net.Conn { return mad{c} }, errPanicked},
		{"panics on pumps", pumps, func(c net.Conn) net.Conn { return mad{c} }, errPanicked},
	} {
		for name, end := range ends {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				r := newRig(t, test.driver, Options{}, ways{})
				other := r.start()
				ended := make(chan Ending, 2)
				s := Session{Server: "mbx1", Owner: ownerFunc(func(e Ending) { ended <- e })}
				var client, server *peer
				client, s.Client = r.connect("client", false, true)
				server, s.Upstream = r.connect("server", false, false)
				broken := end(&s).Conn
				broken.net = test.wrap(broken.net)
				if err := addOrPanic(r.relay, s); !errors.Is(err, test.want) {
					t.Errorf("Add: %v, want %v", err, test.want)
				}
				if len(ended) != 1 {
					t.Fatalf("the owner was told %d times", len(ended))
				}
				if e := <-ended; e != (Ending{Reason: ReasonError}) {
					t.Errorf("ended with %+v", e)
				}
				for _, p := range []*peer{client, server} {
					p.hearsEnd()
				}
				if n := r.server().Sessions; n != 1 {
					t.Errorf("%d sessions are counted", n)
				}
				other.answers()
			})
		}
	}
}
