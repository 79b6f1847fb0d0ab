package setup

// WhenGone has f called once when the peer has closed or reset the connection, if its side alone: at once where that is known already. What the
// peer has sent before makes no difference, whether it was read or not. f is called on the thread and must not wait; nil calls nobody.
func (c *Conn) WhenGone(f func()) error {
	if err := c.watch(); err != nil {
		return err
	}
	c.gone = f
	c.tellGone()
	return nil
}

// tellGone calls who wants to know that the peer has gone, if it has.
func (c *Conn) tellGone() {
	if f := c.gone; f != nil && c.hungUp {
		c.gone = nil
		f()
	}
}
