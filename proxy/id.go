package proxy

import (
	"net/netip"
	"strconv"
	"strings"

	"portico/proxy/wire"
)

// maxHops is how many proxies a sign-in may pass, as in Dovecot. More are a loop.
const maxHops = 5

// maxFrontSession bounds a session id of the proxy in front of us, in bytes.
const maxFrontSession = 64

// identify is ID (RFC 2971). A client in a trusted network, such as a proxy or a webmail server, may use it to name the
// real client, with the fields that Dovecot reads. From other clients these fields have no effect. The answer does not
// reveal our version.
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

// applyID takes the fields about the real client, if a trusted client has sent them. The number of hops left counts
// from every client, because it can only make a sign-in fail. Fields that cannot be read are skipped.
func (s *session) applyID(said map[string]string) error {
	if hops, err := strconv.ParseUint(said["x-proxy-ttl"], 10, 8); err == nil {
		s.arrival.hops = min(s.arrival.hops, int(hops))
	}
	if len(said) == 0 || !s.set.Trusts(s.arrival.remote.Addr()) {
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
