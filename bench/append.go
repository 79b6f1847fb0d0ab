package bench

import (
	"fmt"
	"time"
)

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
	c.plus = true
	defer func() { c.plus = false }()
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
				c.spoil(rowAppend)
				return c.giveUp(failed(KindProtocol, rowAppend, "OK before the message was sent"))
			}
		}
	}
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
