package relay

import (
	"strings"
	"testing"
)

func TestCarriesCommandsAndAnswers(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a NOOP\n")
		tk.server.hears("a NOOP\n")
		tk.server.say("* 3 EXISTS\na OK done\n")
		tk.client.hears("* 3 EXISTS\na OK done\n")
		tk.client.say("b LOGOUT\n")
		tk.server.hears("b LOGOUT\n")
		tk.server.say("* BYE bye\nb OK done\n")
		tk.server.Close()
		tk.client.hears("* BYE bye\nb OK done\n")
		tk.client.hearsEnd()
		tk.client.Close()
		if e := tk.end(); e.Reason != ReasonLogout || e.Commands != 2 {
			t.Errorf("ended with %+v", e)
		}
	})
}

func TestBytesReadBeforeTheRelayGoFirst(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start(func(s *Session) {
			s.Client.Rest = []byte("a NOOP\r\nb NO")
			s.Upstream.Rest = []byte("* 1 EXI")
		})
		tk.client.say("OP\n")
		tk.server.hears("a NOOP\nb NOOP\n")
		tk.server.say("STS\na OK\nb OK\n")
		tk.client.hears("* 1 EXISTS\na OK\nb OK\n")
	})
}

func TestInterceptsWhatWouldBlindIt(t *testing.T) {
	const no = " NO [CANNOT] Compression is not available here\n"
	tests := []struct{ name, says, server, hears string }{
		{"compress", "a COMPRESS DEFLATE\nb NOOP\n", "b NOOP\n", "a" + no},
		{"lower case", "a compress deflate\nb NOOP\n", "b NOOP\n", "a" + no},
		{"starttls", "a STARTTLS\nb NOOP\n", "b NOOP\n", "a BAD STARTTLS is not possible after sign-in\n"},
		{"unauthenticate", "a UNAUTHENTICATE\nb NOOP\n", "b NOOP\n", "a BAD UNAUTHENTICATE is not available here\n"},
		{"blanks", "a   COMPRESS DEFLATE\nb NOOP\n", "b NOOP\n", "a" + no},
		{"a tab", "a COMPRESS\tDEFLATE\nb NOOP\n", "b NOOP\n", "a" + no},
		{"synchronising literal", "a COMPRESS {7}\nb NOOP\n", "b NOOP\n", "a" + no},
		{"literal", "a COMPRESS {8+}\nx NOOP\n\nb NOOP\n", "b NOOP\n", "a" + no},
		{"behind a literal", "x APPEND i {7+}\na NOOP\n\na COMPRESS DEFLATE\nb NOOP\n",
			"x APPEND i {7+}\na NOOP\n\nb NOOP\n", "a" + no},
		{"long tag", strings.Repeat("t", 65) + " NOOP\nb NOOP\n", "b NOOP\n", "* BAD Tag too long\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, r *rig) {
				for _, send := range []func(*peer){
					func(p *peer) { p.raw(crlf(test.says)) },
					func(p *peer) { p.drip(crlf(test.says)) },
				} {
					tk := r.start()
					send(tk.client)
					tk.server.hears(test.server)
					tk.client.hears(test.hears)
				}
			})
		})
	}
}
