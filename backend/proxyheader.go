package backend

import (
	"net"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"
)

// sendProxyHeader sends the header of the PROXY protocol, if the server is configured to get one. It names the client.
// The header for a connection of Portico's own, such as a probe's, has no client (LOCAL).
func (c *serverConn) sendProxyHeader() error {
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
