package relay

import (
	"strings"
	"testing"
)

func TestAnIdleTLSSessionKeepsNoBuffer(t *testing.T) { eachLoop(t, anIdleTLSSessionKeepsNoBuffer) }

func anIdleTLSSessionKeepsNoBuffer(t *testing.T, d driver) {
	r := newRig(t, d, Options{}, ways{true, true})
	tk := r.start()
	const size = 1 << 20
	tk.client.say("a FETCH 1 BODY[]\n")
	tk.server.hears("a FETCH 1 BODY[]\n")
	answer := "* 1 FETCH (BODY[] {1048576}\n" + strings.Repeat("m", size) + ")\na OK\n"
	go tk.server.say(answer)
	tk.client.hears(answer)
	inside(t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			for _, e := range []*end{&l.client, &l.upstream} {
				if n := rawInput(e.tls.Conn).Cap(); n > 0 {
					t.Errorf("an idle connection keeps %d bytes", n)
				}
			}
		})
		if cap(lp.records) < lentSize {
			t.Errorf("the loop's own buffer has %d bytes", cap(lp.records))
		}
	})
}

func TestSeesTheEndBehindHalfARecord(t *testing.T) { eachLoop(t, seesTheEndBehindHalfARecord) }

func seesTheEndBehindHalfARecord(t *testing.T, d driver) {
	r := newRig(t, d, Options{}, ways{true, true})
	tk := r.start()
	tk.client.say("a NOOP\n")
	tk.server.hears("a NOOP\n")
	tk.server.say("a OK\n")
	tk.client.hears("a OK\n")
	inside(t, r.relay, func(*loop) { // both come in one event
		tk.server.tcp.Write([]byte{0x17, 3, 3, 1, 0, 'h', 'a', 'l', 'f'})
		tk.server.tcp.Close()
	})
	tk.client.hears(lfs(byeServerGone))
	tk.client.Close()
	if e := tk.end(); e.Reason != ReasonServer {
		t.Errorf("ended with %+v", e)
	}
}
