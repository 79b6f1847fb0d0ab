//go:build !unix

package proxy

// Read reads with the slot given back.
func (c *slotConn) Read(p []byte) (int, error) { return c.waitRead(p) }

// Write writes with the slot given back.
func (c *slotConn) Write(p []byte) (int, error) { return c.waitWrite(p) }
