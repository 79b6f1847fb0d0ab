package bench

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// conversation is the client's side of one IMAP connection. It belongs to one goroutine; only its connection may be closed by
// another. After an error of a kind that does not keep, it is of no use any more.
type conversation struct {
	conn     net.Conn
	in       *responseReader
	out      []byte
	shard    *shard
	secret   Password
	timeout  time.Duration
	deadline time.Time
	last     uint64     // number of the last tag
	pending  []inFlight // oldest first
	caps     capabilities
	counted  uint64 // bytes read that were counted
	exists   uint64 // messages in the selected mailbox, as said
	cut      func() bool
}

// inFlight is a command that was sent and not answered.
type inFlight struct {
	tag  uint64
	row  row
	from time.Time
}

// capabilities are those that change what we send.
type capabilities struct{ known, literalPlus, uidPlus, saslIR bool }

// tagPrefix stands before the number of a tag.
const tagPrefix = 'b'

func (c *conversation) setConn(conn net.Conn) (left int) {
	c.conn, c.deadline = conn, time.Time{}
	if c.in == nil {
		c.in = newResponseReader(conn)
		return 0
	}
	return c.in.reset(conn)
}

// command sends a command and waits for its answer. Each response on the way is given to each, which may be nil. If from is zero,
// the latency counts from now.
func (c *conversation) command(r row, args string, from time.Time, each func(*response)) error {
	c.begin(r, args, from)
	return c.wait(r, each)
}

// begin queues a command without sending it yet.
func (c *conversation) begin(r row, args string, from time.Time) {
	c.open(r, args, from)
	c.out = append(c.out, "\r\n"...)
}

// open queues a command's line without its end.
func (c *conversation) open(r row, args string, from time.Time) {
	c.last++
	if from.IsZero() {
		from = time.Now()
	}
	c.pending = append(c.pending, inFlight{c.last, r, from})
	c.out = append(c.out, tagPrefix)
	c.out = strconv.AppendUint(c.out, c.last, 10)
	c.out = append(c.out, ' ')
	c.out = append(c.out, r.verb()...)
	if args != "" {
		c.out = append(append(c.out, ' '), args...)
	}
}

// wait sends what is queued and waits until nothing is under way. The first refusal is returned, with the others counted in their
// rows.
func (c *conversation) wait(r row, each func(*response)) error {
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
func (c *conversation) flush(r row) error {
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
func (c *conversation) Write(b []byte) (int, error) {
	n, err := c.conn.Write(b)
	c.shard.moved(0, uint64(n))
	return n, err
}

// next reads one response and keeps what it says of the mailbox. Deadlines are moved in steps, since each move has its price.
func (c *conversation) next(r row) (*response, error) {
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
		return resp, nil
	}
	switch {
	case resp.status == statusBYE:
		if !c.leaving() {
			return nil, failed(KindDropped, r, "the server says BYE: %s", shown(string(resp.args), c.secret))
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

func (c *conversation) leaving() bool {
	return len(c.pending) > 0 && c.pending[len(c.pending)-1].row == rowLogout
}

// answered ends the command that a tagged response answers.
func (c *conversation) answered(resp *response) error {
	i := c.find(resp.tag)
	if i < 0 {
		return failed(KindTag, c.pending[0].row, "an answer with the tag %q, which is not under way", shown(string(resp.tag), c.secret))
	}
	cmd := c.pending[i]
	c.pending = append(c.pending[:i], c.pending[i+1:]...)
	ok := resp.status == statusOK || cmd.row == rowCreate && isThere(resp)
	c.shard.done(cmd.row, time.Since(cmd.from), !ok)
	if ok {
		return nil
	}
	kind := KindRefused
	switch resp.status {
	case statusNO:
	case statusBAD:
		kind = KindBad
	default:
		return failed(KindProtocol, cmd.row, "a tagged answer that is none: %s", shown(string(resp.name), c.secret))
	}
	if cmd.row == rowLogin || cmd.row == rowAuthenticate {
		kind = KindSignIn
	}
	code := ""
	if len(resp.code) > 0 {
		code = "[" + string(resp.code) + "] "
	}
	return failed(kind, cmd.row, "%s", shown(code+string(resp.args), c.secret))
}

// isThere reports whether a mailbox could not be made for being there (RFC 5530). Names belong to one session of one run, so it is ours: Dovecot
// says so when sessions of one user make their first mailboxes at the same moment.
func isThere(resp *response) bool {
	_, there := resp.codeIs("ALREADYEXISTS")
	return there && resp.status == statusNO
}

func (c *conversation) find(tag []byte) int {
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

// giveUp records what was under way, with the time it has waited so far: it must not vanish from the percentiles.
func (c *conversation) giveUp(err error) error {
	cut := c.cut()
	for _, cmd := range c.pending {
		if cmd.from.IsZero() {
			continue // in IDLE nothing is waited for
		}
		c.shard.done(cmd.row, time.Since(cmd.from), !cut)
		if cut {
			c.shard.count(&c.shard.totals.Unfinished)
		}
	}
	c.pending = c.pending[:0]
	c.conn.Close()
	return err
}

// arm moves the deadline if it is not about right.
func (c *conversation) arm() {
	now := time.Now()
	if slack := c.timeout / 8; c.deadline.Sub(now) < c.timeout-slack {
		c.deadline = now.Add(c.timeout)
		c.conn.SetDeadline(c.deadline)
	}
}

// appendMail appends a message to a mailbox. It waits for the server's leave where it must.
func (c *conversation) appendMail(text body, mailbox string, m *message, from time.Time, each func(*response)) error {
	if err := c.beginAppend(text, mailbox, m, from, each); err != nil {
		return err
	}
	return c.wait(rowAppend, each)
}

// beginAppend sends an APPEND and does not wait for its answer. Answers to commands before it are taken if the server's leave to
// send has to be waited for.
func (c *conversation) beginAppend(text body, mailbox string, m *message, from time.Time, each func(*response)) error {
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

// proceed waits for the leave to go on with the command of the tag.
func (c *conversation) proceed(tag uint64, each func(*response)) error {
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
func (c *conversation) idle() error {
	c.begin(rowIdle, "", time.Time{})
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
			return c.giveUp(failed(KindProtocol, rowIdle, "OK to IDLE without DONE"))
		}
		if resp.kind == continuation {
			c.shard.done(rowIdle, time.Since(c.pending[0].from), false)
			c.pending[0].from = time.Time{}
			return nil
		}
	}
}

// endIdle ends IDLE. Its own answer counts as that of DONE.
func (c *conversation) endIdle() error {
	c.pending[0].row, c.pending[0].from = rowDone, time.Now()
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
