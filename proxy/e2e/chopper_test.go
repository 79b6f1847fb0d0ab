package e2e

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"portico/backend/backendtest/testkit"
)

// chopper stands between two sides and passes on what they say in pieces of odd sizes. It serves one connection at a
// time.
type chopper struct {
	t      *testing.T
	ln     net.Listener
	target string
	seed   uint64
}

// chop starts a chopper in front of an address, which stops with the test, and returns its own address.
func chop(t *testing.T, target string, seed uint64) string {
	t.Helper()
	c := &chopper{t: t, ln: testkit.Listen(t), target: target, seed: seed}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.serve()
	}()
	t.Cleanup(func() {
		c.ln.Close()
		<-done
	})
	return c.ln.Addr().String()
}

func (c *chopper) serve() {
	for {
		near, err := c.ln.Accept()
		if err != nil {
			return
		}
		c.pass(near.(*net.TCPConn))
	}
}

func (c *chopper) pass(near *net.TCPConn) {
	defer near.Close()
	conn, err := net.Dial("tcp", c.target)
	if err != nil {
		c.t.Error(err)
		return
	}
	defer conn.Close()
	far := conn.(*net.TCPConn)
	var both sync.WaitGroup
	both.Go(func() { pieces(far, near, c.seed) })
	both.Go(func() { pieces(near, far, c.seed+1) })
	both.Wait()
}

// pieces copies from one connection to another until the first ends, and ends the other. The first bytes go in small
// pieces, as they hold what is looked at; then the pieces grow, or a large message would take for ever. No piece ends
// between CR and LF if both have come: Dovecot answers a command at its CR, and if the LF is late then, the row of that
// command has a byte less.
func pieces(to, from *net.TCPConn, seed uint64) {
	defer to.CloseWrite()
	random := rand.New(rand.NewPCG(seed, 0))
	buf := make([]byte, 64<<10)
	in := bufio.NewReader(from)
	for total := 0; ; {
		size := 1 + random.IntN(30)
		if total > 20_000 {
			size = 1 + random.IntN(len(buf))
		}
		n, err := in.Read(buf[:size])
		if n > 0 && n < len(buf) && buf[n-1] == '\r' && in.Buffered() > 0 {
			buf[n], _ = in.ReadByte()
			n++
		}
		total += n
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				to.Close()
				io.Copy(io.Discard, from)
				return
			}
		}
		if err != nil {
			return
		}
	}
}
