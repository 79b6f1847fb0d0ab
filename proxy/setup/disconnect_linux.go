package setup

// WhenGone implements Conn.
func (c *threadConn) WhenGone(f func(reset bool)) error {
	if err := c.watch(); err != nil {
		return err
	}
	c.onGone, c.closeReported = f, false
	c.reportGone()
	return nil
}

// reportGone calls WhenGone's function if the peer has closed its side or reset the connection.
func (c *threadConn) reportGone() {
	f := c.onGone
	switch {
	case f == nil:
	case c.reset:
		c.onGone = nil
		f(true)
	case c.hungUp && !c.closeReported:
		c.closeReported = true
		f(false)
	}
}
