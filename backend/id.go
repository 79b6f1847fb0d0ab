package backend

import (
	"net/netip"
	"strconv"

	"portico/proxy/wire"
)

// appendID appends an ID command (RFC 2971) that tells a mailbox server who is behind this connection, by the names
// that Dovecot reads from proxies it trusts. What is not known is left out.
func appendID(dst []byte, tag string, client ClientInfo) []byte {
	dst = append(dst, tag...)
	dst = append(dst, ` ID ("name" "Portico"`...)
	dst = appendAddress(dst, "x-originating-", client.Addr)
	dst = appendAddress(dst, "x-connected-", client.Local)
	dst = appendField(dst, "x-session-id", client.SessionID)
	if client.Hops > 0 {
		dst = appendField(dst, "x-proxy-ttl", strconv.Itoa(client.Hops))
	}
	return append(dst, ")\r\n"...)
}

func appendAddress(dst []byte, prefix string, addr netip.AddrPort) []byte {
	if !addr.IsValid() {
		return dst
	}
	dst = appendField(dst, prefix+"ip", addr.Addr().Unmap().WithZone("").String())
	return appendField(dst, prefix+"port", strconv.Itoa(int(addr.Port())))
}

// appendField appends a name, which needs no quoting, and a value if it can stand in quotes.
func appendField(dst []byte, name, value string) []byte {
	quoted, ok := wire.AppendAstring([]byte(` "`+name+`" `), value)
	if value == "" || !ok {
		return dst
	}
	return append(dst, quoted...)
}
