package relay

import (
	"errors"
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

// When a hand-over fails, whichever end it is, both connections are closed, the owner is told once, and other sessions go on.
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
		{"no descriptor", drivers[0], func(c net.Conn) net.Conn { return bare{c} }, errNoDescriptor},
		{"not given away", drivers[0], func(c net.Conn) net.Conn { return stuck{c} }, errStuck},
		{"closed", drivers[0], func(c net.Conn) net.Conn { c.Close(); return c }, net.ErrClosed},
		{"not given away to pumps", pumps, func(c net.Conn) net.Conn { return stuck{c} }, errStuck},
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
				if err := r.relay.Add(s); !errors.Is(err, test.want) {
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
