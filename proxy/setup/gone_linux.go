package setup

// WhenGone has f called when the peer closes its side of the connection, and when it resets the connection: once
// for each, and at once where that is known already. What the peer has sent before makes no difference, whether it
// was read or not. f is called on the thread and must not wait; nil calls nobody.
func (c *Conn) WhenGone(f func(reset bool)) error {
	if err := c.watch(); err != nil {
		return err
	}
	c.gone, c.toldClosed = f, false
	c.tellGone()
	return nil
}

// tellGone calls who wants to know that the peer has gone, if it has.
func (c *Conn) tellGone() {
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
