package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
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
	caps       capabilities
	counted    uint64 // bytes read that were counted
	untagged   int    // responses since the last answer
	exists     uint64 // messages in the selected mailbox, as said
	bye        bool   // the server says that it will close
	cut        func() bool
}

// inFlight is a command without an answer yet.
type inFlight struct {
	tag  uint64
	row  row
	from time.Time // what its latency counts from; in IDLE, where nothing is waited for, the zero time
	sent time.Time // what its time-out counts from
}

// capabilities are those that change what the client sends.
type capabilities struct{ known, literalPlus, uidPlus, saslIR, id, deflate bool }

// A tag is a letter and a number that grows by random steps, so that a server cannot answer a command before it has
// read it.
const (
	tagPrefix = 'b'
	tagStep   = 10_000
)

// maxUntagged is the highest number of untagged responses before an answer.
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
	c.last += 1 + c.tags.Uint64N(tagStep)
	now := time.Now()
	if from.IsZero() {
		from = now
	}
	c.pending = append(c.pending, inFlight{c.last, r, from, now})
	c.out = append(c.out, tagPrefix)
	c.out = strconv.AppendUint(c.out, c.last, 10)
	c.out = append(c.out, ' ')
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
	resp, err := c.in.read()
	if n := c.in.total - c.counted; n > readerSize || err != nil || resp.kind != untagged {
		c.shard.moved(n, 0)
		c.counted = c.in.total
	}
	if err != nil {
		return nil, broken(r, err)
	}
	if resp.kind != untagged {
		c.untagged = 0
		return resp, nil
	}
	if c.untagged++; c.untagged > maxUntagged {
		return nil, failed(KindProtocol, r, "more than %d untagged responses, and no answer", maxUntagged)
	}
	switch {
	case resp.status == statusBYE:
		c.bye = true
		if !c.leaving() {
			return nil, failed(KindDropped, r, "the server says BYE: %s", shown(string(resp.args), c.credential))
		}
	case resp.hasNum && resp.is("EXISTS"):
		c.exists = resp.num
	case resp.hasNum && resp.is("EXPUNGE"):
		if resp.num == 0 || resp.num > c.exists {
			return nil, failed(KindProtocol, r, "message %d of %d is expunged", resp.num, c.exists)
		}
		c.exists--
	}
	return resp, nil
}

func (c *clientConn) leaving() bool {
	return len(c.pending) > 0 && c.pending[len(c.pending)-1].row == rowLogout
}

// answered ends the command that a tagged response answers.
func (c *clientConn) answered(resp *response) error {
	i := c.find(resp.tag)
	if i < 0 {
		return failed(KindTag, c.pending[0].row, "an answer with tag %s, which has no open command",
			c.credential.quote(resp.tag))
	}
	cmd := c.pending[i]
	c.pending = append(c.pending[:i], c.pending[i+1:]...)
	err := c.judge(cmd.row, resp)
	c.shard.ended(cmd.row, cmd.from, outcomeOf(err))
	return err
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
		return failed(KindProtocol, r, "an invalid tagged answer: %s", shown(string(resp.name), c.credential))
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

func (c *clientConn) find(tag []byte) int {
	if len(tag) < 2 || tag[0] != tagPrefix {
		return -1
	}
	n, ok := number(tag[1:])
	for i := range c.pending {
		if ok && c.pending[i].tag == n {
			return i
		}
	}
	return -1
}

// giveUp closes the connection. Commands in flight are recorded with the time that they have waited.
func (c *clientConn) giveUp(err error) error {
	c.conn.Close()
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

// appendMail appends a message to a mailbox. It waits for the server's + if the literal needs one.
func (c *clientConn) appendMail(text body, mailbox string, m *message, from time.Time, each func(*response)) error {
	if err := c.beginAppend(text, mailbox, m, from, each); err != nil {
		return err
	}
	return c.wait(rowAppend, each)
}

// beginAppend sends an APPEND and does not wait for its answer. If it has to wait for the server's +, it reads the
// answers to earlier commands.
func (c *clientConn) beginAppend(text body, mailbox string, m *message, from time.Time, each func(*response)) error {
	plus := ""
	if c.caps.literalPlus {
		plus = "+"
	}
	c.open(rowAppend, fmt.Sprintf("%s (%s) {%d%s}\r\n", mailbox, flagList(m.flags), m.size, plus), from)
	tag := c.last
	if err := c.flush(rowAppend); err != nil {
		return err
	}
	if plus == "" {
		if err := c.proceed(tag, each); err != nil {
			return err
		}
	}
	if err := text.write(c, m); err != nil {
		return c.giveUp(broken(rowAppend, err))
	}
	c.out = append(c.out, "\r\n"...)
	return c.flush(rowAppend)
}

// proceed waits for the server's + to the command with the tag.
func (c *clientConn) proceed(tag uint64, each func(*response)) error {
	for {
		resp, err := c.next(rowAppend)
		if err != nil {
			return c.giveUp(err)
		}
		if each != nil {
			each(resp)
		}
		switch resp.kind {
		case continuation:
			return nil
		case tagged:
			ours := c.find(resp.tag) >= 0 && c.pending[c.find(resp.tag)].tag == tag
			if err := c.answered(resp); err != nil {
				return err
			}
			if ours {
				return c.giveUp(failed(KindProtocol, rowAppend, "OK before the message was sent"))
			}
		}
	}
}

// idle begins IDLE and returns when the server idles.
func (c *clientConn) idle(from time.Time) error {
	c.begin(rowIdle, "", from)
	if err := c.flush(rowIdle); err != nil {
		return err
	}
	for {
		resp, err := c.next(rowIdle)
		if err != nil {
			return c.giveUp(err)
		}
		if resp.kind == tagged {
			if err := c.answered(resp); err != nil {
				return err
			}
			return c.giveUp(failed(KindProtocol, rowIdle, "OK to IDLE before DONE"))
		}
		if resp.kind == continuation {
			c.shard.ended(rowIdle, c.pending[0].from, outcomeDone)
			c.pending[0].from = time.Time{}
			return nil
		}
	}
}

// endIdle ends IDLE. The answer to IDLE counts as that to DONE.
func (c *clientConn) endIdle() error {
	now := time.Now()
	c.pending[0].row, c.pending[0].from, c.pending[0].sent = rowDone, now, now
	c.out = append(c.out, "DONE\r\n"...)
	return c.wait(rowDone, nil)
}

func flagList(flags []string) string {
	text := ""
	for i, flag := range flags {
		if i > 0 {
			text += " "
		}
		text += flag
	}
	return text
}
