package wire

import (
	"bytes"
	"io"
	"sync"
)

// buffer reads ahead from r and keeps the bytes that are not used yet. It wipes used bytes before the next read,
// because they may have been a password.
type buffer struct {
	r    io.Reader
	room *[firstRead]byte // where data is as long as it is small; from rooms
	data []byte           // data[:used] was given out, data[used:] was read ahead
	used int
	past uint64 // bytes given out before data
}

// firstRead is how much room the first read gets: most clients' whole sign-in.
const firstRead = 1 << 10

// rooms are wiped rooms that are not in use. Without them, sign-ins would make twice as much garbage.
var rooms = sync.Pool{New: func() any { return new([firstRead]byte) }}

// reset wipes everything and continues with another source.
func (b *buffer) reset(r io.Reader) {
	b.moveOut()
	*b = buffer{r: r, past: b.past + uint64(b.used)}
}

// moveOut wipes the data and gives the room back.
func (b *buffer) moveOut() {
	clear(b.data)
	if b.room != nil {
		rooms.Put(b.room)
		b.room = nil
	}
}

// grow makes room for more.
func (b *buffer) grow() {
	if b.data == nil {
		b.room = rooms.Get().(*[firstRead]byte)
		b.data = b.room[:0]
		return
	}
	grown := make([]byte, len(b.data), 2*cap(b.data))
	copy(grown, b.data)
	b.moveOut()
	b.data = grown
}

// unused returns the bytes that were read ahead.
func (b *buffer) unused() []byte { return b.data[b.used:] }

// discard wipes the bytes that were given out.
func (b *buffer) discard() {
	n := copy(b.data, b.unused())
	clear(b.data[n:])
	b.past += uint64(b.used)
	b.data, b.used = b.data[:n], 0
}

// fill reads once more. The data may move.
func (b *buffer) fill() error {
	if len(b.data) == cap(b.data) {
		b.grow()
	}
	for range 100 {
		n, err := b.r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case n > 0:
			return nil
		case err == io.EOF && len(b.data) > 0:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// bounds of one command or response, in bytes; what names it for a LimitError.
type bounds struct {
	line, literal, total int
	what                 string
}

// line gives out the bytes up to the next LF, which is included, reading as needed.
func (b *buffer) line(limit int, what string) ([]byte, error) {
	start, seen := b.used, b.used
	for {
		if i := bytes.IndexByte(b.data[seen:], '\n'); i >= 0 && seen+i-start < limit {
			b.used = seen + i + 1
			return b.data[start:b.used], nil
		}
		if seen = len(b.data); seen-start >= limit {
			return nil, &LimitError{what, limit}
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

// withLiterals gives out the last line again. As long as it ends in a literal's marker, it adds the literal and the
// line after it. Before it waits for a synchronising literal, it calls proceed, if that is not nil.
func (b *buffer) withLiterals(line []byte, lim bounds, proceed func() error) ([]byte, error) {
	for {
		if b.used > lim.total {
			return nil, &LimitError{lim.what, lim.total}
		}
		m := lineMarker(line[:len(line)-1])
		if !m.found() {
			return b.data[:b.used], nil
		}
		if err := b.literal(m, lim, proceed); err != nil {
			return nil, err
		}
		var err error
		if line, err = b.line(lim.line, "line"); err != nil {
			return nil, err
		}
	}
}

// literal gives out the literal that m announces.
func (b *buffer) literal(m marker, lim bounds, proceed func() error) error {
	switch {
	case m.size > int64(lim.literal):
		return &LimitError{"literal", lim.literal}
	case int(m.size) > lim.total-b.used:
		return &LimitError{lim.what, lim.total}
	}
	if !m.plus && proceed != nil {
		if err := proceed(); err != nil {
			return err
		}
	}
	end := b.used + int(m.size)
	for len(b.data) < end {
		if err := b.fill(); err != nil {
			return err
		}
	}
	b.used = end
	return nil
}
