package backend

import (
	"errors"
	"fmt"

	"portico/proxy/wire"
)

// prepare takes a new connection to where the server can be signed in to: TLS as configured, greeted, capabilities
// known.
func (c *serverConn) prepare() error {
	timeouts := c.tier.timeouts
	if c.server.tls == TLSImplicit {
		c.enter(PhaseTLS, timeouts.TLS)
		if err := c.handshake(); err != nil {
			return err
		}
	}
	c.enter(PhaseGreeting, timeouts.Greeting)
	if err := c.greeting(); err != nil {
		return err
	}
	if c.server.tls == TLSStartTLS {
		c.enter(PhaseTLS, timeouts.TLS)
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	if c.capabilitiesKnown {
		return nil
	}
	c.enter(PhaseGreeting, timeouts.Greeting)
	return c.askCapabilities()
}

// greeting reads the server's first response (RFC 9051 section 7.1) and the capabilities in it.
func (c *serverConn) greeting() error {
	resp, err := c.read()
	if err != nil {
		return err
	}
	if resp.Kind != wire.Untagged || resp.Status != wire.StatusOK {
		return c.fail(KindGreeting, errors.New("the first line is not an IMAP greeting"))
	}
	c.learn(resp)
	return nil
}

// askCapabilities is for servers whose greeting does not tell them, and for all of them after STARTTLS.
func (c *serverConn) askCapabilities() error {
	tag := c.ownTag()
	if err := c.write([]byte(tag + " CAPABILITY\r\n")); err != nil {
		return err
	}
	resp, err := c.answer(tag)
	switch {
	case err != nil:
		return err
	case resp.Status != wire.StatusOK || !c.capabilitiesKnown:
		return c.fail(KindGreeting, fmt.Errorf("the server does not list its capabilities: %s", c.clean(resp.Text)))
	}
	return nil
}
