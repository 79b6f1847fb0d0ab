package bench

import "time"

// idle begins IDLE and returns when the server idles.
func (c *clientConn) idle(from time.Time) error {
	c.begin(rowIdle, "", from)
	if err := c.flush(rowIdle); err != nil {
		return err
	}
	c.plus = true
	defer func() { c.plus = false }()
	for {
		resp, err := c.next(rowIdle)
		if err != nil {
			return c.giveUp(err)
		}
		if resp.kind == tagged {
			return c.endedIdle(resp)
		}
		if resp.kind == continuation {
			c.shard.ended(rowIdle, c.pending[0].from, outcomeDone)
			c.pending[0].from = time.Time{}
			return nil
		}
	}
}

// endedIdle returns the error of an answer to IDLE before DONE.
func (c *clientConn) endedIdle(resp *response) error {
	if err := c.answered(resp); err != nil {
		return c.giveUp(err)
	}
	c.spoil(rowIdle)
	return c.giveUp(failed(KindProtocol, rowIdle, "OK to IDLE before DONE"))
}

// endIdle ends IDLE. The answer to IDLE counts as that to DONE.
func (c *clientConn) endIdle() error {
	for c.in.holds() {
		if err := c.overhear(rowIdle); err != nil {
			return err
		}
	}
	now := time.Now()
	c.pending[0].row, c.pending[0].from, c.pending[0].sent = rowDone, now, now
	c.out = append(c.out, "DONE\r\n"...)
	return c.wait(rowDone, nil)
}

// overhear reads a response that has begun to arrive while no command waits for one. Only untagged data may come then.
func (c *clientConn) overhear(r row) error {
	c.deadline = time.Now().Add(c.timeout)
	c.conn.SetReadDeadline(c.deadline)
	resp, err := c.receive(r)
	switch {
	case err != nil:
		return c.giveUp(err)
	case resp.kind == untagged:
		return nil
	case len(c.pending) > 0:
		return c.endedIdle(resp)
	}
	return c.giveUp(c.unknownTag(r, resp))
}
