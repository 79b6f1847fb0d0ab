package bench

import (
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

// clientConn is the client side of one IMAP connection. It belongs to one goroutine; others may only close its
// connection. After an error whose kind does not keep the connection, it cannot be used any more.
type clientConn struct {
	conn       net.Conn
	in         *responseReader
	out        []byte
	shard      *shard
	credential credential
	timeout    time.Duration // for each command, from its sending
	deadline   time.Time     // of the connection
	tags       *rand.Rand
	last       uint64     // number of the last tag
	pending    []inFlight // oldest first
	ended      []ended    // not recorded yet
	plus       bool       // a command waits for a +
	caps       capabilities
	counted    uint64  // bytes read that were counted
	untagged   int     // responses since the last answer
	mailbox    mailbox // the selected one
	strict     bool    // what the server says of the mailbox is checked
	wrong      func(kind Kind, r row, format string, args ...any)
	cut        func() bool
}

// capabilities are those that change what the client sends.
type capabilities struct{ known, literalPlus, uidPlus, saslIR, id, deflate bool }

// maxUntagged is the highest number of responses before an answer.
const maxUntagged = 100_000

// setConn continues on another connection. It returns how many bytes of the previous one were read and not used.
func (c *clientConn) setConn(conn net.Conn) (left int) {
	c.conn, c.deadline = conn, time.Time{}
	if c.in == nil {
		c.in = newResponseReader(conn)
		c.in.resp.hidden = &c.credential
		return 0
	}
	return c.in.reset(conn)
}

// command sends a command and waits for its answer. It passes each untagged response to each, which may be nil. If
// from is zero, the latency counts from now.
func (c *clientConn) command(r row, args string, from time.Time, each func(*response)) error {
	c.begin(r, args, from)
	return c.wait(r, each)
}

// begin queues a command, and does not send it yet.
func (c *clientConn) begin(r row, args string, from time.Time) {
	c.open(r, args, from)
	c.out = append(c.out, "\r\n"...)
}

// open queues a command's line without its end.
func (c *clientConn) open(r row, args string, from time.Time) {
	c.settle()
	c.last += 1 + c.tags.Uint64N(tagStep)
	now := time.Now()
	if from.IsZero() {
		from = now
	}
	c.pending = append(c.pending, inFlight{tag: c.last, row: r, from: from, sent: now})
	c.out = append(appendTag(c.out, c.last), ' ')
	c.out = append(c.out, r.verb()...)
	if args != "" {
		c.out = append(append(c.out, ' '), args...)
	}
}

// wait sends what is queued and waits for all answers. It returns the first refusal; the rows count the others.
func (c *clientConn) wait(r row, each func(*response)) error {
	if err := c.flush(r); err != nil {
		return err
	}
	var refused error
	for len(c.pending) > 0 {
		resp, err := c.next(r)
		if err != nil {
			return c.giveUp(err)
		}
		if each != nil {
			each(resp)
		}
		if resp.kind != tagged {
			continue
		}
		if err := c.answered(resp); err != nil {
			if k, ok := err.(*failure); !ok || !k.kind.keeps() {
				return c.giveUp(err)
			}
			if refused == nil {
				refused = err
			}
		}
	}
	return refused
}

// flush writes what is queued.
func (c *clientConn) flush(r row) error {
	if len(c.out) == 0 {
		return nil
	}
	c.arm()
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		return c.giveUp(broken(r, err))
	}
	return nil
}

// Write sends bytes and counts them.
func (c *clientConn) Write(b []byte) (int, error) {
	n, err := c.conn.Write(b)
	c.shard.moved(0, uint64(n))
	return n, err
}

// next reads one response and records the state of the mailbox. Untagged responses do not extend a command's time-out.
func (c *clientConn) next(r row) (*response, error) {
	c.arm()
	return c.receive(r)
}

// receive reads one response, until the connection's deadline.
func (c *clientConn) receive(r row) (*response, error) {
	resp, err := c.in.read()
	if n := c.in.total - c.counted; n > readerSize || err != nil || resp.kind != untagged {
		c.shard.moved(n, 0)
		c.counted = c.in.total
	}
	if err != nil {
		return nil, broken(r, err)
	}
	if resp.kind == tagged {
		c.untagged = 0
		return resp, nil
	}
	if c.untagged++; c.untagged > maxUntagged {
		return nil, failed(KindProtocol, r, "more than %d untagged responses, and no answer", maxUntagged)
	}
	if resp.kind == continuation {
		if !c.plus {
			return nil, failed(KindProtocol, r, "a + that no command waits for: %s", resp.quote(resp.args))
		}
		return resp, nil
	}
	if resp.status == statusBYE && !c.leaving() {
		return nil, failed(KindDropped, r, "the server says BYE: %s", shown(string(resp.args), c.credential))
	}
	if err := c.note(r, resp); err != nil {
		return nil, broken(r, err)
	}
	return resp, nil
}

func (c *clientConn) leaving() bool {
	return len(c.pending) > 0 && c.pending[len(c.pending)-1].row == rowLogout
}

// giveUp closes the connection. Commands in flight are recorded with the time that they have waited.
func (c *clientConn) giveUp(err error) error {
	c.conn.Close()
	c.settle()
	if c.cut() {
		err = c.cutShort(err)
	}
	for _, cmd := range c.pending {
		if cmd.from.IsZero() {
			continue // IDLE waits for no answer
		}
		result := outcomeOf(err)
		if result == outcomeTimedOut && time.Since(cmd.sent) < c.timeout {
			result = outcomeFailed // an earlier command has timed out
		}
		c.shard.ended(cmd.row, cmd.from, result)
	}
	c.pending = c.pending[:0]
	return err
}

// cutShort turns an error into one that the end of the run has caused.
func (c *clientConn) cutShort(err error) error {
	var f *failure
	if !errors.As(err, &f) || f.kind == KindUnfinished {
		return err
	}
	return unfinished(f.row, c.timeout+time.Since(c.deadline))
}

// arm sets the connection's deadline to that of the oldest command, or of the greeting.
func (c *clientConn) arm() {
	until := c.deadline
	if len(c.pending) > 0 {
		until = c.pending[0].sent.Add(c.timeout)
	}
	if !until.Equal(c.deadline) {
		c.deadline = until
		c.conn.SetDeadline(until)
	}
}
