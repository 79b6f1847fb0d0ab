package backend

import (
	"crypto/tls"
	"sync"
	"time"
)

// tlsOffer is what one address of a server is offered in TLS. Offering costs us, taken or not: the key exchange that
// withstands quantum computers a fifth of a handshake, a session to resume a tenth. So what was not taken lately is
// left out for a while. That is learnt from handshakes alone that went well, in which the server has proved who it is:
// nobody on the way can take anything from the offer.
//
// It is shared by all connections to that address.
type tlsOffer struct {
	all *tls.Config // all that is offered
	now func() time.Time

	mu       sync.Mutex
	config   *tls.Config // what is offered now
	since    time.Time   // when all was offered last
	declined int         // sessions that were offered in a row and not resumed
}

const (
	// offerAgain is how long what was not taken is left out.
	offerAgain = 10 * time.Minute
	// maxDeclined is how many sessions in a row may be declined. A server of several processes may take those of some
	// only.
	maxDeclined = 16
)

// notHybrid are the key exchanges that stay when a server does not take those that withstand quantum computers.
var notHybrid = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// newTLSOffer offers what base does to the server at host.
func newTLSOffer(base *tls.Config, host string, now func() time.Time) *tlsOffer {
	config := base.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return &tlsOffer{all: config, now: now, config: config}
}

// next returns the configuration of the next handshake.
func (o *tlsOffer) next() *tls.Config {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); o.config != o.all && now.Sub(o.since) >= offerAgain {
		o.reset()
	}
	return o.config
}

// reset has all offered again. The caller holds the lock.
func (o *tlsOffer) reset() { o.config, o.declined = o.all, 0 }

// failed notes a handshake that ended badly: perhaps for what was left out.
func (o *tlsOffer) failed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reset()
}

// took notes what came of a handshake with what next returned.
func (o *tlsOffer) took(offered *tls.Config, state *tls.ConnectionState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if offered != o.config {
		return // somebody else's has been noted meanwhile
	}
	less := offered
	change := func() *tls.Config {
		if less == offered {
			less = offered.Clone()
		}
		return less
	}
	if offered.CurvePreferences == nil && !withstands(state.CurveID) {
		change().CurvePreferences = notHybrid
	}
	switch {
	case state.DidResume:
		o.declined = 0
	case offered.ClientSessionCache != nil:
		if o.declined++; o.declined > maxDeclined {
			change().ClientSessionCache = nil
		}
	}
	if less != offered {
		if offered == o.all {
			o.since = o.now()
		}
		o.config = less
	}
}

// withstands reports whether a key exchange withstands quantum computers.
func withstands(group tls.CurveID) bool {
	switch group {
	case tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024:
		return true
	}
	return false
}
