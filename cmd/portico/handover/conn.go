// Package handover lets a running process start the one that takes its place, and speak with it: messages that may
// carry open descriptors, over a socket that only the two have, or over one in a folder of theirs.
//
// It knows processes, sockets and descriptors. It must not know what is handed over, nor in which order.
package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxMessage bounds a message, in bytes, and maxFiles its descriptors; the kernel's bound is 253.
const (
	maxMessage = 64 << 20
	maxFiles   = 250
	headSize   = 8 // the number of bytes, and of descriptors, as 32 bits each
)

// Message is what one process tells the other.
type Message struct {
	Kind  string          `json:"kind"`
	Data  json.RawMessage `json:"data,omitempty"`
	Files []*os.File      `json:"-"` // the receiver owns them
}

// Read decodes the data.
func (m Message) Read(into any) error {
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("%s: %w", m.Kind, err)
	}
	return nil
}

// CloseFiles closes the descriptors, for a receiver who does not want them.
func (m Message) CloseFiles() {
	for _, f := range m.Files {
		f.Close()
	}
}

// Conn is a connection to the other process. One goroutine at a time may receive; any may send.
type Conn struct {
	unix    *net.UnixConn
	sending sync.Mutex
}

// Send sends a message, with duplicates of the descriptors of files.
func (c *Conn) Send(kind string, data any, files ...syscall.Conn) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	text, err := json.Marshal(Message{Kind: kind, Data: encoded})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", kind, err)
	case len(text) > maxMessage || len(files) > maxFiles:
		return fmt.Errorf("%s: too large: %d bytes, %d descriptors", kind, len(text), len(files))
	}
	if err := withDescriptors(files, nil, func(fds []int) error { return c.write(text, fds) }); err != nil {
		return fmt.Errorf("%s: %w", kind, named(err))
	}
	return nil
}

// withDescriptors calls f with the descriptors of files, none of which is closed meanwhile. It does not change them,
// as os.File.Fd does: whether they block belongs to both processes.
func withDescriptors(files []syscall.Conn, fds []int, f func(fds []int) error) error {
	if len(files) == 0 {
		return f(fds)
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = withDescriptors(files[1:], append(fds, int(fd)), f) })
	return errors.Join(err, inner)
}

func (c *Conn) write(text []byte, fds []int) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	head := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	head = binary.BigEndian.AppendUint32(head, uint32(len(fds)))
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	n, _, err := c.unix.WriteMsgUnix(head, rights, nil)
	if err == nil && n < len(head) {
		err = io.ErrShortWrite
	}
	if err == nil {
		_, err = c.unix.Write(text)
	}
	return err
}

// Errors of a Conn, beside those of messages.
var (
	ErrEnded = errors.New("the other process has ended")
	ErrTime  = errors.New("the other process did not answer in time")
)

// named gives the usual errors of a connection words for people.
func named(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ErrEnded
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTime
	}
	return err
}

// Receive returns the next message. At the end of the connection, the error is ErrEnded.
func (c *Conn) Receive() (Message, error) {
	m, err := c.receive()
	return m, named(err)
}

func (c *Conn) receive() (m Message, err error) {
	var head [headSize]byte
	rights := make([]byte, syscall.CmsgSpace(maxFiles*4))
	n, oob, _, _, err := c.unix.ReadMsgUnix(head[:], rights)
	if err != nil {
		return m, err
	}
	if n == 0 {
		return m, io.EOF
	}
	files, err := received(rights[:oob])
	defer func() {
		if err != nil {
			Message{Files: files}.CloseFiles()
		}
	}()
	if err != nil {
		return m, err
	}
	if _, err := io.ReadFull(c.unix, head[n:]); err != nil {
		return m, err
	}
	size, number := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
	if size > maxMessage || int(number) != len(files) {
		return m, fmt.Errorf("not a message: %d bytes, %d of %d descriptors", size, len(files), number)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(c.unix, text); err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	m.Files = files
	return m, nil
}

// received returns the descriptors that came with a message.
func received(rights []byte) (files []*os.File, err error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}

// Await receives a message of a kind. A message of the kind Failed is an error with its words.
func (c *Conn) Await(kind string) (Message, error) {
	m, err := c.Receive()
	switch {
	case err != nil:
		return m, err
	case m.Kind == Failed:
		m.CloseFiles()
		var words string
		return m, errors.Join(m.Read(&words), errors.New(words))
	case m.Kind != kind:
		m.CloseFiles()
		return m, fmt.Errorf("the other process says %.40q, not %q: it is another version of this program", m.Kind,
			kind)
	}
	return m, nil
}

// Failed is the kind of message by which a process says that it gives up; its data is why.
const Failed = "failed"

// SetDeadline bounds all further sending and receiving.
func (c *Conn) SetDeadline(t time.Time) error { return c.unix.SetDeadline(t) }

// SetReadDeadline bounds all further receiving.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.unix.SetReadDeadline(t) }

// SetWriteDeadline bounds all further sending.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.unix.SetWriteDeadline(t) }

// CloseWrite ends sending. What the other process still sends can be received.
func (c *Conn) CloseWrite() error { return c.unix.CloseWrite() }

// Close ends the connection.
func (c *Conn) Close() error { return c.unix.Close() }
