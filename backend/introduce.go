package backend

import (
	"net"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"
)

// introduce tells a server by the PROXY protocol for whom the connection is, before all else. A connection of the
// proxy's own, as for a check, is said to be that.
func (c *conversation) introduce() error {
	if c.server.proxy == 0 {
		return nil
	}
	header := proxyproto.HeaderProxyFromAddrs(byte(c.server.proxy), tcpAddr(c.request.Client.Addr),
		tcpAddr(c.request.Client.Local))
	text, err := header.Format()
	if err == nil {
		c.conn.SetWriteDeadline(c.tier.now().Add(c.tier.timeouts.Dial))
		_, err = c.conn.Write(text)
	}
	if err != nil {
		c.conn.Close()
		return c.ioError(KindDial, err)
	}
	return nil
}

// tcpAddr returns nil for an address that is none: then nothing is known of the client.
func tcpAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
}
