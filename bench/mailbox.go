package bench

import "time"

// mailbox is the selected mailbox of a connection, as the server has described it.
type mailbox struct {
	selected bool    // or its SELECT is under way
	exists   uint64  // messages
	known    bool    // the server has said how many exist
	own      *folder // the expected content, if only this session changes it
	fixed    bool    // nobody removes messages
}

// choose sends SELECT or EXAMINE for a mailbox of which something is expected. If from is zero, the latency counts from
// now.
func (c *clientConn) choose(r row, name string, expected mailbox, from time.Time) error {
	c.mailbox = expected
	c.mailbox.selected = true
	err := c.command(r, name, from, nil)
	if err != nil {
		c.mailbox = mailbox{}
	} else if c.strict && !c.mailbox.known {
		c.wrong(KindMissing, r, "no number of messages in %s", name)
	}
	return err
}

// note checks untagged data, and records what they say of the selected mailbox. The error is about data that cannot be
// read; data that cannot be true are reported as wrong.
func (c *clientConn) note(r row, resp *response) error {
	if err := resp.checkForm(); err != nil {
		return err
	}
	switch resp.data {
	case dataFetch:
		c.noteFetch(r, &resp.fetched)
	case dataExists:
		c.noteExists(r, resp.num)
	case dataExpunge:
		return c.noteExpunge(r, resp.num)
	}
	return nil
}

func (c *clientConn) noteExists(r row, n uint64) {
	m := &c.mailbox
	switch {
	case !c.strict:
	case !m.selected:
		c.wrong(KindCount, r, "%d messages, and no mailbox is selected", n)
		return
	case m.known && n < m.exists:
		c.wrong(KindCount, r, "%d messages instead of %d, and none was expunged", n, m.exists)
	case m.own != nil && n > m.own.most():
		c.wrong(KindCount, r, "%d messages in %s, want at most %d", n, m.own.name, m.own.most())
	}
	m.exists, m.known = n, true
}

func (c *clientConn) noteExpunge(r row, n uint64) error {
	m := &c.mailbox
	if n == 0 || n > m.exists {
		return failed(KindProtocol, r, "message %d of %d is expunged", n, m.exists)
	}
	m.exists--
	switch {
	case !c.strict:
	case !m.selected:
		c.wrong(KindCount, r, "message %d is expunged, and no mailbox is selected", n)
	case !c.mayExpunge():
		c.wrong(KindCount, r, "message %d is expunged, which must not happen here", n)
	case m.own != nil:
		m.own.lose(c, r, n)
	}
	return nil
}

// mayExpunge reports whether messages may be expunged now: not without a command, nor in an answer to FETCH, STORE or
// SEARCH without UID (RFC 9051, 7.5.1), and in a mailbox of the session only by its own EXPUNGE.
func (c *clientConn) mayExpunge() bool {
	if c.mailbox.fixed || len(c.pending) == 0 {
		return false
	}
	expunging := false
	for i := range c.pending {
		switch c.pending[i].row {
		case rowEnvelopes:
			return false
		case rowExpunge:
			expunging = true
		}
	}
	return expunging || c.mailbox.own == nil
}

func (c *clientConn) noteFetch(r row, got *fetched) {
	m := &c.mailbox
	switch {
	case !c.strict:
	case !m.selected:
		c.wrong(KindCount, r, "data of message %d, and no mailbox is selected", got.seq)
	case got.seq == 0 || got.seq > m.exists:
		c.wrong(KindCount, r, "data of message %d of %d", got.seq, m.exists)
	case m.own != nil:
		m.own.compare(c, r, got)
	}
}
