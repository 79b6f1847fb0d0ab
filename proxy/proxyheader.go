package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Sizes of a header of the PROXY protocol, in bytes.
const (
	proxyBegin  = 12 // the signature of version 2; no header of version 1 is shorter
	proxyFixed  = 16 // version 2, without its addresses
	maxProxyOne = 107
	maxProxyTwo = 16 << 10 // version 2, behind that: a client's certificate may follow the addresses
)

// proxySignature begins a header of version 2.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyHeader is what a header of the PROXY protocol says.
type proxyHeader struct {
	from, to netip.AddrPort
	// local says that the header names no client: the proxy connects for itself, as for a check, or knows no IP
	// address (UNKNOWN, UNSPEC, a Unix socket). The connection's own addresses count then.
	local bool
}

// readClientAddress reads the header of the PROXY protocol, in which a proxy in front of us says for which client it
// connects. Only trusted networks send one. From other clients it is a syntax error of IMAP.
func (s *session) readClientAddress() (err error) {
	if !s.arrival.listener.ProxyProtocol || !s.set.Trusts(s.arrival.remote.Addr()) {
		return nil
	}
	// the client would take an answer in plain text for TLS
	defer func() { s.client.muted = err != nil && s.arrival.listener.TLS == TLSImplicit }()
	if err := s.client.allow(s.set.Timeouts.Handshake); err != nil {
		return err
	}
	header, err := readProxyHeader(s.client.conn)
	if err != nil {
		return err
	}
	if header.local {
		return nil
	}
	s.arrival.local = header.to
	return s.setRemote(header.from)
}

// setRemote sets the client's address that a trusted proxy has sent. From now on it counts for limits, authentication
// delays and the log.
func (s *session) setRemote(addr netip.AddrPort) error {
	s.arrival.remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return s.arrival.ticket.move(s.arrival.remote.Addr(), s.set.Limits)
}

// readProxyHeader reads a header and not a byte more: what follows may be TLS. An error that is not the connection's
// wraps OutcomeProxyHeader and says what is wrong with the header.
func readProxyHeader(r io.Reader) (proxyHeader, error) {
	text := make([]byte, proxyBegin, maxProxyOne)
	if n, err := io.ReadFull(r, text); err != nil {
		if n > 0 && !begins(text[:n], proxySignature) && !begins(text[:n], "PROXY ") {
			return proxyHeader{}, badProxyHeader("it begins with %q", text[:n])
		}
		return proxyHeader{}, fmt.Errorf("wait for the PROXY protocol header: %w", err)
	}
	switch {
	case string(text) == proxySignature:
		return readProxyTwo(r, text)
	case bytes.HasPrefix(text, []byte("PROXY ")):
		line, err := readProxyOne(r, text)
		if err != nil {
			return proxyHeader{}, err
		}
		return parseProxyOne(line)
	}
	return proxyHeader{}, badProxyHeader("it begins with %q", text)
}

// begins says whether whole may go on where text ends.
func begins(text []byte, whole string) bool {
	n := min(len(text), len(whole))
	return string(text[:n]) == whole[:n]
}

func badProxyHeader(reason string, args ...any) error {
	return fmt.Errorf("%w: "+reason, append([]any{OutcomeProxyHeader}, args...)...)
}

// readProxyOne reads on to the line's end.
func readProxyOne(r io.Reader, text []byte) (string, error) {
	for text[len(text)-1] != '\n' {
		if len(text) == maxProxyOne {
			return "", badProxyHeader("its line exceeds %d bytes", maxProxyOne)
		}
		text = text[:len(text)+1]
		if _, err := io.ReadFull(r, text[len(text)-1:]); err != nil {
			return "", cutOff(err)
		}
	}
	return string(text), nil
}

// parseProxyOne is version 1: PROXY TCP4 or TCP6, the two addresses and the two ports. Behind UNKNOWN anything may
// stand.
func parseProxyOne(line string) (h proxyHeader, err error) {
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return h, badProxyHeader("its line does not end with CR LF")
	}
	fields := strings.Split(line, " ")
	switch kind := fields[1]; {
	case kind == "UNKNOWN":
		return proxyHeader{local: true}, nil
	case kind != "TCP4" && kind != "TCP6":
		return h, badProxyHeader("its protocol is %q", kind)
	case len(fields) != 6:
		return h, badProxyHeader("it has %d fields instead of 6", len(fields))
	}
	if h.from, err = proxyAddress(fields[1], fields[2], fields[4]); err == nil {
		h.to, err = proxyAddress(fields[1], fields[3], fields[5])
	}
	return h, err
}

func proxyAddress(kind, addr, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Zone() != "" || a.Is4() != (kind == "TCP4") {
		return netip.AddrPort{}, badProxyHeader("%q is not a valid %s address", addr, kind)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, badProxyHeader("%q is not a valid port", port)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// The parts of version 2's fixed part that are looked at: the version and command, the address family and the
// transport.
const (
	proxyVersionTwo = 0x20
	proxyLocal      = 0x0
	proxyProxy      = 0x1
	proxyUnspec     = 0x0
	proxyInet       = 0x1
	proxyInet6      = 0x2
	proxyUnix       = 0x3
)

// readProxyTwo is version 2. What stands behind the addresses is read and means nothing.
func readProxyTwo(r io.Reader, text []byte) (h proxyHeader, err error) {
	text = text[:proxyFixed]
	if _, err := io.ReadFull(r, text[proxyBegin:]); err != nil {
		return h, cutOff(err)
	}
	length := int(binary.BigEndian.Uint16(text[proxyFixed-2:]))
	command, family := text[proxyBegin]&0xf, text[proxyBegin+1]>>4
	switch {
	case text[proxyBegin]&0xf0 != proxyVersionTwo:
		return h, badProxyHeader("its version is %d", text[proxyBegin]>>4)
	case command != proxyLocal && command != proxyProxy:
		return h, badProxyHeader("its command is %d", command)
	case length > maxProxyTwo:
		return h, badProxyHeader("it has %d bytes after the fixed part; the limit is %d", length, maxProxyTwo)
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return h, cutOff(err)
	}
	if command == proxyLocal {
		return proxyHeader{local: true}, nil
	}
	switch family {
	case proxyUnspec, proxyUnix:
		return proxyHeader{local: true}, nil
	case proxyInet:
		return parseProxyTwo(rest, 4)
	case proxyInet6:
		return parseProxyTwo(rest, 16)
	}
	return h, badProxyHeader("its address family is %d", family)
}

// cutOff returns the error of a header whose end is missing.
func cutOff(err error) error {
	return fmt.Errorf("PROXY protocol header cut off: %w", err)
}

// parseProxyTwo reads the two addresses, of size bytes each, and the two ports.
func parseProxyTwo(p []byte, size int) (h proxyHeader, err error) {
	if len(p) < 2*size+4 {
		return h, badProxyHeader("its addresses have %d bytes instead of %d", len(p), 2*size+4)
	}
	from, _ := netip.AddrFromSlice(p[:size])
	to, _ := netip.AddrFromSlice(p[size : 2*size])
	ports := p[2*size:]
	h.from = netip.AddrPortFrom(from, binary.BigEndian.Uint16(ports))
	h.to = netip.AddrPortFrom(to, binary.BigEndian.Uint16(ports[2:]))
	return h, nil
}
