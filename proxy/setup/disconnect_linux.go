package setup

// WhenGone implements Conn.
func (c *threadConn) WhenGone(f func(reset bool)) error {
	if err := c.watch(); err != nil {
		return err
	}
	c.gone, c.toldClosed = f, false
	c.tellGone()
	return nil
}

// tellGone calls the function of WhenGone if the peer has disconnected.
func (c *threadConn) tellGone() {
	f := c.gone
	switch {
	case f == nil:
	case c.reset:
		c.gone = nil
		f(true)
	case c.hungUp && !c.toldClosed:
		c.toldClosed = true
		f(false)
	}
}
