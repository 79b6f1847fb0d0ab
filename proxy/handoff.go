package proxy

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"portico/backend"
	"portico/protolog"
	"portico/proxy/relay"
)

// handOff sends the mailbox server's answer to the client, and gives both connections to the relay. The bytes that the
// client sent after its sign-in, and the server after its answer, go with them. If the server drains, the session ends
// here.
func (s *session) handOff(link *backend.Link) error {
	upstream, err := upstreamConn(link)
	if err != nil {
		return err
	}
	handedOver := false
	defer func() {
		if !handedOver {
			upstream.Close()
		}
	}()
	// before the client gets the answer, because its next step may fail
	s.server.authDelays.succeed(s.arrival.remote.Addr(), s.attempt.user)
	if err := s.client.deliver(link.Replies); err != nil {
		return fmt.Errorf("read the mailbox server's answer: %w", err)
	}
	if !s.server.inSetUp.remove(s.client) {
		return OutcomeDraining
	}
	s.client.sock.SetDeadline(time.Time{})
	s.arrival.ticket.sign()
	s.logCommand(protolog.OK, "", OutcomeSignedIn) // before the relay has rows of its own
	// it has no pointer to s or the ticket, which would keep the whole set-up in memory
	over := &relayed{
		server: s.server, user: s.arrival.ticket.user, remote: compact(s.arrival.remote),
		shared: s.server.sharedInfos.get(sharedInfo{server: link.Server, database: link.Database,
			listener: s.arrival.listener.Name,
			local:    s.arrival.local}),
		rows: uint16(min(s.rows.number, math.MaxUint16)),
	}
	hex.Decode(over.id[:], []byte(s.id))
	carry := relay.Session{
		Server:     link.Server,
		Database:   link.Database,
		Listener:   s.arrival.listener.Name,
		Client:     s.client.handOver(),
		Upstream:   relay.End{Conn: upstream, TLS: link.TLS, Rest: link.Rest},
		Offers:     offers[link.Offers],
		Extensions: link.Extensions,
		Owner:      over,
	}
	s.arrival.ticket.handOver()
	handedOver = true // whatever comes of it
	if err := s.server.opt.Relay.Add(carry); err != nil {
		return fmt.Errorf("%w: %w", OutcomeRelayUnavailable, err)
	}
	return OutcomeSignedIn
}

// offers maps the backend's offers to the relay's.
var offers = [...]relay.Offers{
	backend.OffersUnknown: relay.OffersUnknown,
	backend.OffersNone:    relay.OffersNone,
	backend.OffersHidden:  relay.OffersHidden,
}
