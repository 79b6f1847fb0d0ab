package e2e

import (
	"net"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// A client that leaves while its sign-in waits for a paused server gives its place back at once, long before it is
// told again that it waits. One that has only closed its own side is told that it waits, and gets its answers.
func TestClientsThatLeaveDuringAPause(t *testing.T) {
	const soon = 10 * time.Second
	server := testkit.Scripted(t, nil, accepts, accepts, accepts)
	testkit.NoLeaks(t)
	queues := backend.NewSigninQueues(time.Now)
	f := startFrontEnd(t, options{
		servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}},
		backend: func(o *backend.Options) { o.SigninQueues = queues },
	})
	waiting := func(number int) {
		t.Helper()
		testkit.Eventually(t, "sign-ins wait", func() bool { return queues.State("mbx1").Waiting == number })
	}
	for _, w := range ways {
		for name, leave := range map[string]func(*testkit.Conn){
			"reset": func(c *testkit.Conn) { c.NetConn().(*net.TCPConn).SetLinger(0); c.Close() },
			"close": (*testkit.Conn).Close,
		} {
			t.Run(w.name+" "+name, func(t *testing.T) {
				if name == "reset" && w.name != "plain" {
					return // the connection below TLS is out of reach
				}
				must(t, queues.Pause("mbx1", time.Minute))
				c := f.dial(w)
				c.Send("a LOGIN ada " + password)
				waiting(1)
				began := time.Now()
				leave(c)
				waiting(0)
				f.gone()
				if took := time.Since(began); took > soon {
					t.Errorf("noticed after %v", took)
				}
			})
		}
	}
	must(t, queues.Pause("mbx1", time.Minute))
	half := f.dial(ways[0])
	half.Send("a LOGIN ada " + password + "\r\nb NOOP")
	must(t, half.NetConn().(*net.TCPConn).CloseWrite())
	began := time.Now()
	half.Expect("* OK Still waiting *")
	if took := time.Since(began); took > soon {
		t.Errorf("told after %v", took)
	}
	queues.Resume("mbx1")
	half.ReadUntilTagged("a")
	half.ReadUntilTagged("b")
	half.ExpectEOF()
}
