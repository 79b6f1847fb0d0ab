package proxy

import (
	"errors"
	"strings"
	"testing"
)

// Where sign-in threads do not work, users sign in all the same, and one line of the log says why.
func TestServerFallsBackToGoroutines(t *testing.T) {
	h := start(t, TLSImplicit, func(o *Options) {
		o.CheckThreads = func() error { return errors.New("epoll: operation not permitted") }
	})
	for range 2 {
		p := h.client()
		p.send("a NOOP\r\nb LOGIN bob secret\r\n")
		p.expect("a OK ")
		p.until("b OK ")
		h.relay.take(t)
	}
	const line = `"level":"warn","error":"epoll: operation not permitted","message":"sign-in threads do not work here`
	if n := strings.Count(h.log.String(), line); n != 1 {
		t.Errorf("%d lines say why in %s", n, h.log)
	}
}
