package proxy

import (
	"sync/atomic"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// A sign-in that is held for longer than a set-up may take is let in, and the client has the rest of its time after
// that; a client that just talks has no more than its time.
func TestHeldBeyondSetUp(t *testing.T) {
	testkit.NoLeaks(t)
	const setUp = time.Hour
	var passed atomic.Int64 // of time, beside the real one
	h := start(t, TLSNone, func(o *Options) {
		o.Settings.Timeouts.SetUp = setUp
		o.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	})
	asked := h.asks()
	h.tier.route = func(user string) (backend.Route, error) {
		passed.Add(int64(2 * setUp))
		if user == "ann" {
			return backend.Route{User: user}, backend.ErrUserName
		}
		return backend.Route{User: user, Database: "db1", Servers: []string{"mbx1"}}, nil
	}
	p := h.client()
	p.send("a LOGIN ann secret\r\n")
	p.expect("a NO ")
	p.send("b LOGIN bob secret\r\n")
	p.until("b OK ")
	<-asked

	talker := h.client()
	talker.send("a NOOP\r\n")
	talker.expect("a OK ")
	passed.Add(int64(setUp))
	talker.send("b NOOP\r\n")
	talker.until("* BYE Sign-in took too long") // after an OK, if this command was waited for already
}
