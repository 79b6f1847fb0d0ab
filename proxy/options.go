package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/protolog"
	"portico/proxy/relay"
)

// Options is what a Server is built from, once. They must be complete; only a Registerer and a ProtocolLog may be
// missing.
type Options struct {
	Settings   Settings              // the first; see Server.Reload
	Relay      relay.Relay           // the server owns it from now on and closes it
	Log        zerolog.Logger        // the zero value writes nothing
	Registerer prometheus.Registerer // for the metrics; nil for none
	// ProtocolLog receives the events of sessions, if it is not nil. The server sends those of set-ups. Watch makes the
	// watchers that send those of sessions that Relay carries.
	ProtocolLog   *protolog.Log
	SigninThreads int // how many threads set sessions up at the same time; the key is setup_slots
	// CheckThreads returns why sign-in threads do not work here, or nil; default setup.Check. If they do not, one line
	// of the log says why, and a goroutine sets up each session.
	CheckThreads func() error
	// KeptDescriptors is the number from which on descriptors are kept back for others than clients, such as probes
	// and HTTP; 0 for none.
	KeptDescriptors int
	Memory          *Memory // of a server before this one, of which the process goes on; nil for none
	// Seed is the site's, 16 secret bytes, if several nodes count together; see Server.Counted. A Memory with another
	// one is forgotten. nil for one node.
	Seed []byte

	Random io.Reader                                        // for session ids, safe for concurrent use
	Now    func() time.Time                                 // for deadlines and durations
	Sleep  func(ctx context.Context, d time.Duration) error // see Sleep
}

// check returns an error that names a field without a usable value, or nil.
func (o *Options) check() error {
	switch {
	case o.Relay == nil:
		return errors.New("options: Relay is missing")
	case o.SigninThreads < 1:
		return fmt.Errorf("options: SigninThreads must be at least 1, is %d", o.SigninThreads)
	case o.KeptDescriptors < 0:
		return fmt.Errorf("options: KeptDescriptors must be at least 0, is %d", o.KeptDescriptors)
	case o.Seed != nil && len(o.Seed) != seedSize:
		return fmt.Errorf("options: Seed must have %d bytes, has %d", seedSize, len(o.Seed))
	case o.Random == nil:
		return errors.New("options: Random is missing")
	case o.Now == nil:
		return errors.New("options: Now is missing")
	case o.Sleep == nil:
		return errors.New("options: Sleep is missing")
	}
	return o.Settings.check()
}

// keys are those under which clients are remembered.
func (o *Options) keys() (keyHash, error) {
	switch {
	case o.Seed != nil:
		return keyHashOf(o.Seed), nil
	case o.Memory != nil:
		return o.Memory.Keys, nil
	}
	return newKeyHash(o.Random)
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
