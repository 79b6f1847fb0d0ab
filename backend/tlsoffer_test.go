package backend

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"
)

// TestTLSOffer leaves out of what is offered in TLS what the server has not taken, for a while and as long as
// handshakes go well.
func TestTLSOffer(t *testing.T) {
	clock := time.Unix(1_000_000, 0)
	o := newTLSOffer(&tls.Config{MinVersion: tls.VersionTLS12}, "mbx1.example.org",
		func() time.Time { return clock })
	hybrid := func() bool { return o.next().CurvePreferences == nil }
	session := func() bool { return o.next().ClientSessionCache != nil }
	took := func(group tls.CurveID, resumed bool) {
		o.took(o.next(), &tls.ConnectionState{CurveID: group, DidResume: resumed})
	}
	if c := o.next(); c.ServerName != "mbx1.example.org" || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("%+v", c)
	}

	for range 3 * maxDeclined {
		took(tls.X25519MLKEM768, true)
	}
	if !hybrid() || !session() {
		t.Error("what is taken is left out")
	}

	first := o.next()
	took(tls.X25519, false)
	if hybrid() || !session() {
		t.Error("the hybrid key exchange that is not taken is offered, or the session is not")
	}
	if c := o.next(); c.CurvePreferences[0] != tls.X25519 || c.ServerName != "mbx1.example.org" {
		t.Errorf("%+v", c)
	}
	o.took(first, &tls.ConnectionState{CurveID: tls.X25519MLKEM768}) // begun before that: it says nothing new
	if hybrid() {
		t.Error("an older handshake undoes what is known")
	}
	clock = clock.Add(offerAgain - time.Second)
	for range maxDeclined {
		took(tls.X25519, false)
	}
	if session() {
		t.Errorf("%d sessions were declined and one is offered", maxDeclined+1)
	}
	clock = clock.Add(time.Second)
	if !hybrid() || !session() {
		t.Error("not all is offered again")
	}

	for range maxDeclined {
		took(tls.X25519, false)
	}
	took(tls.X25519, true)
	took(tls.X25519, false)
	if !session() {
		t.Error("a server that resumes some sessions is offered none")
	}
	o.failed()
	if !hybrid() {
		t.Error("a handshake that failed may have failed for what was left out")
	}
}

// TestTLSOfferOfOneKind gets on with a server that takes one kind of key exchange only, and that changes its mind.
func TestTLSOfferOfOneKind(t *testing.T) {
	client, config := certificates(t, loopback())
	var groups []tls.CurveID
	d := dialogue{"TLS", greeting, aliceLogin, signedIn}
	config.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(groups) == 0 {
			return nil, errors.New("more handshakes than wanted")
		}
		c := config.Clone()
		c.GetConfigForClient, c.CurvePreferences = nil, groups[:1]
		groups = groups[1:]
		return c, nil
	}
	tier := tier(t, Timeouts{}, server(TLSImplicit, client, fake(t, config, d, d, d, d, d)))
	groups = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.X25519MLKEM768, tls.X25519MLKEM768}
	for i, group := range groups {
		link, err := signInAs(t, tier, alice())
		if i == 3 { // only what is left out by now
			wantFailure(t, err, KindTLS, PhaseTLS)
			continue
		}
		if err != nil {
			t.Fatal(i, err)
		}
		if got := link.TLS.ConnectionState().CurveID; got != group {
			t.Errorf("handshake %d: %v, want %v", i, got, group)
		}
		link.Conn.Close()
	}
}
