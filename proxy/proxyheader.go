package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"
)

// Of a header of the PROXY protocol, in bytes.
const (
	proxyBegin  = 12 // the signature of version 2; no header of version 1 is shorter
	proxyFixed  = 16 // version 2, without its addresses
	maxProxyOne = 107
	maxProxyTwo = 2 << 10 // addresses and what may stand behind them, which is read and means nothing
)

// introduced reads the header of the PROXY protocol that says for whom a proxy in front of us connects. It is due from trusted networks,
// and from nobody else: there it would be taken for what it is, no IMAP.
func (s *session) introduced() (err error) {
	if !s.door.ProxyProtocol || !s.set.trusts(s.remote.Addr()) {
		return nil
	}
	defer func() { s.client.muted = err != nil && s.door.TLS == TLSImplicit }() // what is said now would be taken for TLS
	if err := s.client.allow(s.set.Timeouts.Handshake); err != nil {
		return err
	}
	header, err := readProxyHeader(s.client.conn)
	if err != nil {
		return err
	}
	from, to, ok := header.TCPAddrs()
	if header.Command.IsLocal() || !ok { // the proxy's own connection, such as a check
		return nil
	}
	s.local = to.AddrPort()
	return s.comesFrom(from.AddrPort())
}

// comesFrom is for a client whose address a trusted proxy has told: it counts from here on, in limits, penalties and the log.
func (s *session) comesFrom(addr netip.AddrPort) error {
	s.remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return s.ticket.move(s.remote.Addr(), s.set.Limits)
}

// readProxyHeader reads a header and not a byte more: what follows may be TLS.
func readProxyHeader(r io.Reader) (*proxyproto.Header, error) {
	text := make([]byte, proxyBegin, maxProxyOne)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	var err error
	switch {
	case bytes.Equal(text, proxyproto.SIGV2):
		text, err = readProxyTwo(r, text)
	case bytes.HasPrefix(text, []byte("PROXY ")):
		text, err = readProxyOne(r, text)
	default:
		return nil, OutcomeProxyHeader
	}
	if err != nil {
		return nil, err
	}
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(text), len(text)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", OutcomeProxyHeader, err)
	}
	return header, nil
}

// readProxyOne reads on to the line's end.
func readProxyOne(r io.Reader, text []byte) ([]byte, error) {
	for text[len(text)-1] != '\n' {
		if len(text) == maxProxyOne {
			return nil, fmt.Errorf("%w: a line without end", OutcomeProxyHeader)
		}
		text = text[:len(text)+1]
		if _, err := io.ReadFull(r, text[len(text)-1:]); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// readProxyTwo reads the rest of the fixed part, and as much as that tells of.
func readProxyTwo(r io.Reader, text []byte) ([]byte, error) {
	text = text[:proxyFixed]
	if _, err := io.ReadFull(r, text[proxyBegin:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(text[proxyFixed-2:]))
	if length > maxProxyTwo {
		return nil, fmt.Errorf("%w: %d bytes", OutcomeProxyHeader, length)
	}
	text = append(text, make([]byte, length)...)
	_, err := io.ReadFull(r, text[proxyFixed:])
	return text, err
}
