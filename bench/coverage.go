package bench

// coverage collects which attributes an answer to FETCH has of which messages. A server may send them in parts, and
// other data of the same messages between them.
type coverage struct {
	want     attributes
	messages int
	came     map[uint64]attributes // by message number or UID
}

// expect begins the answer to a FETCH of a number of messages. It ends the previous one.
func (s *session) expect(want attributes, messages int) *coverage {
	c := &s.coverage
	c.want, c.messages = want, messages
	if c.came == nil {
		c.came = make(map[uint64]attributes, messages)
	}
	clear(c.came)
	return c
}

// add adds data of a message.
func (c *coverage) add(message uint64, got *fetched) {
	if has := got.attributes() & c.want; has != 0 && len(c.came) <= c.messages { // more of them are wrong anyway
		c.came[message] |= has
	}
}

// check wants each message to have come once, with everything that was asked for.
func (c *coverage) check(s *session, r row, mailbox string) {
	if len(c.came) != c.messages {
		s.wrong(KindCount, r, "%d messages listed in %s, want %d", len(c.came), mailbox, c.messages)
	}
	for message, has := range c.came {
		if lacks := c.want &^ has; lacks != 0 {
			s.wrong(KindMissing, r, "message %d of %s without %s", message, mailbox, lacks)
			return
		}
	}
}
