package bench

import (
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// bodyLine is the text of messages.
const bodyLine = "Pack my box with five dozen jugs of liquor, and be very quick.\r\n"

// bodyBlock is how much of it is written at once.
const bodyBlock = 64 << 10

// minMessage is the smallest message in bytes; it has room for the header.
const minMessage = 320

// body is lines of text to take message bodies from. Read-only.
type body []byte

func newBody() body { return body(strings.Repeat(bodyLine, bodyBlock/len(bodyLine)+1)) }

// message is a generated message, and what the server must return for it. Its bytes are not stored.
type message struct {
	head  string
	size  int
	sum   uint32
	uid   uint64
	flags []string // what we set
}

// newMessage generates a message of exactly size bytes, at least minMessage. All messages of a run differ.
func (b body) newMessage(run string, session, number, size int) *message {
	head := fmt.Sprintf("Date: Mon, 02 Jan 2006 15:04:05 +0000\r\nFrom: Load Tool <load@example.org>\r\nTo: Load "+
		"Tool <load@example.org>\r\n"+
		"Message-ID: <%s.%d.%d@bench.example.org>\r\nSubject: Message %d of session %d\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n", run, session, number, number, session)
	size = max(size, minMessage, len(head)+len("\r\n"))
	m := &message{head: head, size: size, sum: crc32.Checksum([]byte(head), castagnoli)}
	b.each(m, func(piece []byte) error {
		m.sum = crc32.Update(m.sum, castagnoli, piece)
		return nil
	})
	return m
}

// write sends the message.
func (b body) write(w io.Writer, m *message) error {
	if _, err := io.WriteString(w, m.head); err != nil {
		return err
	}
	return b.each(m, func(piece []byte) error {
		_, err := w.Write(piece)
		return err
	})
}

// each yields the bytes after the header in pieces: whole lines, then one that fills the rest.
func (b body) each(m *message, do func([]byte) error) error {
	const text = len(bodyLine) - len("\r\n")
	left := m.size - len(m.head) - len("\r\n")
	for left > text {
		n := min(left, bodyBlock) / len(bodyLine) * len(bodyLine)
		if n == 0 { // one byte less than a line: an empty one comes first, so that none is cut between CR and LF
			if err := do([]byte("\r\n")); err != nil {
				return err
			}
			left -= len("\r\n")
			continue
		}
		if err := do(b[:n]); err != nil {
			return err
		}
		left -= n
	}
	if err := do(b[:left]); err != nil {
		return err
	}
	return do([]byte("\r\n"))
}
