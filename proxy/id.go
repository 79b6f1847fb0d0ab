package proxy

import (
	"net/netip"
	"strconv"
	"strings"

	"portico/proxy/wire"
)

// maxHops is how often a sign-in is passed on from proxy to proxy, as Dovecot has it. More is a loop.
const maxHops = 5

// maxFrontSession bounds a session id of the proxy in front of us, in bytes.
const maxFrontSession = 64

// identify is ID (RFC 2971). From a client in a trusted network, a proxy or a webmail server, it may say who the real
// client is, by the names that Dovecot reads; from anybody else that means nothing. Our answer gives no version away.
func (s *session) identify(args *wire.Args) error {
	args.Space()
	said := make(map[string]string)
	switch {
	case args.End(): // as NIL: servers take it so
	case args.Open():
		name := ""
		args.Space()
		for !args.Close() {
			text, ok := args.NString()
			if !ok {
				return syntaxError(args, "string or NIL expected")
			}
			if name == "" {
				name = text
			} else {
				if name = strings.ToLower(name); strings.HasPrefix(name, "x-") {
					said[name] = text
				}
				name = ""
			}
			args.Space()
		}
	default:
		if text, ok := args.NString(); !ok || text != "" {
			return syntaxError(args, "list or NIL expected")
		}
	}
	if err := s.applyID(said); err != nil {
		return err
	}
	s.client.say(`* ID ("name" "Portico")`)
	return s.client.say(s.dialogue.tag + " OK ID completed.")
}

// applyID takes what a trusted client says of the real one. The number of hops left counts whoever says it: it can
// only make a sign-in fail. What cannot be read is passed over.
func (s *session) applyID(said map[string]string) error {
	if hops, err := strconv.ParseUint(said["x-proxy-ttl"], 10, 8); err == nil {
		s.arrival.hops = min(s.arrival.hops, int(hops))
	}
	if len(said) == 0 || !s.set.trusts(s.arrival.remote.Addr()) {
		return nil
	}
	if id := said["x-session-id"]; len(id) <= maxFrontSession &&
		!strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		s.arrival.frontSession = id
	}
	if to, err := addrPort(said["x-connected-ip"], said["x-connected-port"]); err == nil {
		s.arrival.local = to
	}
	from, err := addrPort(said["x-originating-ip"], said["x-originating-port"])
	if err != nil {
		return nil
	}
	return s.setRemote(from)
}

// addrPort reads an address and a port, which may be missing.
func addrPort(addr, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || port == "" {
		return netip.AddrPortFrom(a, 0), err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a.WithZone(""), uint16(n)), err
}
