package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// Sessions come and go in numbers, killed at random on either side. Each carries its own number in all its bytes, so
// that none can get another's without its being seen.
func TestSessionsThatComeAndGoDoNotMix(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, d, Options{Loops: 2}, ways{})
			secure := &rig{t: t, relay: r.relay, ways: ways{true, true}}
			var crowd sync.WaitGroup
			for worker := range 6 {
				crowd.Go(func() {
					random := rand.New(rand.NewPCG(uint64(worker), 7))
					for i := range 60 {
						from := r
						if i%10 == 0 {
							from = secure
						}
						liveAndDie(from.start(), random, fmt.Sprintf("s%dx%dx", worker, i))
					}
				})
			}
			crowd.Wait()
			if n := r.relay.Stats().Panics; n > 0 {
				t.Errorf("%d panics", n)
			}
		})
	}
}

// liveAndDie speaks until one side is killed.
func liveAndDie(tk *talk, random *rand.Rand, number string) {
	var both sync.WaitGroup
	both.Go(func() { tk.echo(number) })
	both.Go(func() { tk.onlyHears(number) })
	for range random.IntN(30) {
		line := number + strings.Repeat("x", random.IntN(10)) + " NOOP " +
			strings.Repeat(number, random.IntN(20)) + "\r\n"
		if tk.client.try(line) != nil {
			break
		}
	}
	switch random.IntN(5) {
	case 0:
		tk.client.Close()
	case 1:
		tk.client.reset()
	case 2:
		tk.server.Close()
	case 3:
		tk.server.reset()
	case 4:
		tk.client.halfClose()
		tk.server.tcp.CloseWrite()
	}
	both.Wait()
	tk.end()
}

// echo is the server: it answers each command with the tag as its text.
func (tk *talk) echo(number string) {
	defer tk.server.tcp.Close()
	for line := range tk.server.lines(number) {
		tag, _, _ := strings.Cut(line, " ")
		if tk.server.try("* "+tag+" "+tag+"\r\n"+tag+" OK "+line) != nil {
			return
		}
	}
}

func (tk *talk) onlyHears(number string) {
	defer tk.client.tcp.Close()
	for range tk.client.lines(number) {
	}
}

// lines gives each whole line the peer hears, and checks that it has the number, or is the relay's own.
func (p *peer) lines(number string) func(func(string) bool) {
	return func(yield func(string) bool) {
		p.SetReadDeadline(time.Now().Add(patience))
		in := bufio.NewReader(p.Conn)
		for {
			line, err := in.ReadString('\n')
			if err == nil && !strings.Contains(line, number) && line != byeServerGone {
				p.t.Errorf("%s of %s hears %q", p.name, number, line)
			}
			if err != nil {
				if t, ok := errors.AsType[net.Error](err); err != io.EOF && ok && t.Timeout() {
					p.t.Errorf("%s of %s: %v", p.name, number, err)
				}
				return
			}
			if !yield(line) {
				return
			}
		}
	}
}
