package backend

import (
	"crypto/tls"
	"fmt"

	"portico/proxy/wire"
)

// startTLS asks for TLS (RFC 9051 section 6.2.1). Whatever the server said so far, anybody on the way may have said:
// its capabilities are not looked at, and bytes behind its OK end the connection, as they would be taken for the
// server's own.
func (c *serverConn) startTLS() error {
	tag := c.ownTag()
	if err := c.write([]byte(tag + " STARTTLS\r\n")); err != nil {
		return err
	}
	resp, err := c.answer(tag)
	switch {
	case err != nil:
		return err
	case resp.Status != wire.StatusOK:
		return c.fail(KindTLS, fmt.Errorf("STARTTLS refused: %s", c.clean(resp.Text)))
	}
	if n := len(c.responses.Buffered()); n > 0 {
		return c.fail(KindGreeting, fmt.Errorf("%d bytes after the answer to STARTTLS", n))
	}
	c.capabilities, c.capabilitiesKnown = nil, false
	return c.handshake()
}

// handshake puts TLS around the connection, for all that follows.
func (c *serverConn) handshake() error {
	offered := c.address.offer.next()
	conn := tls.Client(c.conn, offered)
	if err := conn.Handshake(); err != nil { // bounded by the connection's deadline, without a goroutine for a context
		c.address.offer.failed()
		return c.ioError(KindTLS, err)
	}
	state := conn.ConnectionState()
	c.address.offer.took(offered, &state)
	c.tls, c.stream = conn, conn
	c.responses.Reset(conn)
	return nil
}
