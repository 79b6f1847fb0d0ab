package proxy

import (
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// A sign-in that is held for longer than a set-up may take is let in, and the client has the rest of its time after that; a silent client has no
// more than its time.
func TestHeldBeyondSetUp(t *testing.T) {
	testkit.NoLeaks(t)
	const setUp = 2 * time.Second
	h := start(t, TLSNone, func(o *Options) { o.Settings.Timeouts.SetUp = setUp })
	asked := h.asks()
	waited := make(chan struct{}, 1)
	h.tier.route = func(user string) (backend.Route, error) {
		time.Sleep(setUp + setUp/2)
		waited <- struct{}{}
		if user == "ann" {
			return backend.Route{User: user}, backend.ErrUserName
		}
		return backend.Route{User: user, Database: "db1", Servers: []string{"mbx1"}}, nil
	}
	p := h.client()
	p.send("a LOGIN ann secret\r\n")
	<-waited
	p.expect("a NO ")
	p.send("b LOGIN bob secret\r\n")
	<-waited
	<-asked
	p.until("b OK ")

	silent := h.client()
	silent.expect("* BYE Too slow")
}
