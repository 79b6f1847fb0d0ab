package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/protolog"
	"portico/proxy/relay"
)

// Options is what a Server is built from, once.
type Options struct {
	Settings   Settings              // the first; see Server.Reload
	Relay      relay.Relay           // required; the server owns it from now on and closes it
	Log        zerolog.Logger        // the zero value writes nothing
	Registerer prometheus.Registerer // for the metrics; nil for none
	// ProtocolLog is told what sessions do, if it is not nil: of those in set-up by the server, of those that Relay
	// carries by what Watch makes.
	ProtocolLog *protolog.Log
	SetupSlots  int // threads for the set-up of sessions, which compute at the same time; default 1
	// KeptDescriptors is the number from which on descriptors are kept back for others than clients, such as probes
	// and HTTP; 0 for none.
	KeptDescriptors int

	// for session ids, safe for concurrent use; default crypto/rand
	Random io.Reader
	Now    func() time.Time                                 // for deadlines and durations; default time.Now
	Sleep  func(ctx context.Context, d time.Duration) error // waits, and returns ctx's error if that ends first
}

func (o Options) withDefaults() (Options, error) {
	if o.Relay == nil {
		return o, errors.New("no relay")
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return o, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TLSMode is how the connections of a listener get their TLS (RFC 8314).
type TLSMode uint8

// The three ways.
const (
	TLSNone     TLSMode = iota // never
	TLSStartTLS                // by STARTTLS
	TLSImplicit                // from the first byte
)

// Listener says what Serve has to know of a net.Listener.
type Listener struct {
	Name string // for logs and the metric label listener: an address, a role
	TLS  TLSMode
	// ProxyProtocol says that clients in trusted networks begin with a header of HAProxy's PROXY protocol.
	ProxyProtocol bool
}
