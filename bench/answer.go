package bench

import "time"

// inFlight is a command without an answer yet.
type inFlight struct {
	tag    uint64
	row    row
	from   time.Time // what its latency counts from; in IDLE, where nothing is waited for, the zero time
	sent   time.Time // what its time-out counts from
	spoilt bool      // something in its answer was wrong
}

// ended is a command with an answer. It is recorded when the next command begins, or when the operation ends: until
// then its answer may prove wrong.
type ended struct {
	row     row
	from    time.Time
	took    time.Duration
	outcome outcome
}

// answered ends the command that a tagged response answers.
func (c *clientConn) answered(resp *response) error {
	i := c.find(resp.tag)
	if i < 0 {
		return c.unknownTag(c.pending[0].row, resp)
	}
	cmd := c.pending[i]
	c.pending = append(c.pending[:i], c.pending[i+1:]...)
	err := c.judge(cmd.row, resp)
	e := ended{cmd.row, cmd.from, time.Since(cmd.from), outcomeOf(err)}
	if cmd.spoilt && e.outcome.good() {
		e.outcome = outcomeFailed
	}
	c.ended = append(c.ended, e)
	return err
}

// unknownTag returns the error of an answer to no command.
func (c *clientConn) unknownTag(r row, resp *response) error {
	return failed(KindTag, r, "an answer with tag %s, which has no open command", resp.quote(resp.tag))
}

// judge returns nil for an answer that is OK.
func (c *clientConn) judge(r row, resp *response) error {
	kind := KindRefused
	switch resp.status {
	case statusOK:
		return nil
	case statusNO:
		if r == rowCreate && isThere(resp) {
			return nil
		}
	case statusBAD:
		kind = KindBad
	default:
		return failed(KindProtocol, r, "an invalid tagged answer: %s", resp.quote(resp.name))
	}
	if r == rowLogin || r == rowAuthenticate {
		kind = KindSignIn
	}
	code := ""
	if len(resp.code) > 0 {
		code = "[" + string(resp.code) + "] "
	}
	return failed(kind, r, "%s", shown(code+string(resp.args), c.credential))
}

// isThere reports whether CREATE failed because the mailbox exists (RFC 5530). Its name belongs to one session of one
// run, so the session has created it. Dovecot answers like this when sessions of one user create their first mailboxes
// at the same moment.
func isThere(resp *response) bool {
	_, there := resp.codeIs("ALREADYEXISTS")
	return there && resp.status == statusNO
}

// find returns the index of the pending command with exactly this tag, or -1.
func (c *clientConn) find(tag []byte) int {
	n, ok := tagNumber(tag)
	for i := range c.pending {
		if ok && c.pending[i].tag == n {
			return i
		}
	}
	return -1
}

// spoil makes the oldest command of the row fail that has not failed yet. It returns false if there is none.
func (c *clientConn) spoil(r row) bool {
	for i := range c.pending {
		if cmd := &c.pending[i]; cmd.row == r && !cmd.spoilt {
			cmd.spoilt = true
			return true
		}
	}
	for i := range c.ended {
		if e := &c.ended[i]; e.row == r && e.outcome.good() {
			e.outcome = outcomeFailed
			return true
		}
	}
	return false
}

// settle records the commands that have ended.
func (c *clientConn) settle() {
	for i := range c.ended {
		e := &c.ended[i]
		c.shard.record(e.row, e.from, e.took, e.outcome)
	}
	c.ended = c.ended[:0]
}
