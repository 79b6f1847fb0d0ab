package relay

import (
	"io"
	"testing"
)

var (
	noop       = []byte("a0001 NOOP\r\n")
	noopAnswer = []byte("* 172 EXISTS\r\na0001 OK NOOP completed.\r\n")
)

// nowhere is a sink that keeps nothing.
type nowhere struct{}

func (nowhere) write([]byte) {}

func newNoopSession() func() {
	d := newBareSession(OffersNone)
	d.out = sinks{nowhere{}, nowhere{}}
	return func() {
		d.now += 1000
		d.fromClient(noop, d.now)
		d.fromServer(noopAnswer, d.now)
	}
}

func BenchmarkSessionNoop(b *testing.B) {
	exchange := newNoopSession()
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}

func TestInterpretingAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, newNoopSession()); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
}

// exchanger returns a function that sends a request and takes an answer to its end, over a relay.
func exchanger(tb testing.TB, d driver, w ways, request, answer []byte) func() {
	r := newRig(tb, d, Options{}, w)
	tk := r.start()
	asked := make(chan struct{})
	tb.Cleanup(func() {
		tk.client.Close()
		<-asked
		tk.server.Close()
	})
	go func() {
		defer close(asked)
		buf := make([]byte, len(request))
		for {
			if _, err := io.ReadFull(tk.server.Conn, buf); err != nil {
				return
			}
			if _, err := tk.server.Write(answer); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, len(answer))
	return func() {
		if _, err := tk.client.Write(request); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(tk.client.Conn, buf); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkRelayNoop(b *testing.B) {
	benchEachWay(b, func(b *testing.B, d driver, w ways) {
		exchange := exchanger(b, d, w, noop, noopAnswer)
		b.ReportAllocs()
		for b.Loop() {
			exchange()
		}
	})
}

func BenchmarkRelayFetch1MB(b *testing.B) {
	mail := append([]byte("* 1 FETCH (BODY[] {1048576}\r\n"), make([]byte, 1<<20)...)
	mail = append(mail, ")\r\na0001 OK done\r\n"...)
	benchEachWay(b, func(b *testing.B, d driver, w ways) {
		exchange := exchanger(b, d, w, []byte("a0001 UID FETCH 1 BODY[]\r\n"), mail)
		b.ReportAllocs()
		b.SetBytes(int64(len(mail)))
		for b.Loop() {
			exchange()
		}
	})
}

func benchEachWay(b *testing.B, bench func(*testing.B, driver, ways)) {
	for _, d := range drivers {
		for _, w := range []ways{{false, false}, {true, true}} {
			b.Run(d.name+"/"+w.String(), func(b *testing.B) { bench(b, d, w) })
		}
	}
}
