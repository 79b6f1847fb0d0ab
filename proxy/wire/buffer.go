package wire

import (
	"bytes"
	"io"
)

// buffer reads ahead from r and keeps what is not used yet. What was used is wiped before the next read, because it may have
// been a password.
type buffer struct {
	r    io.Reader
	data []byte // data[:used] was given out, data[used:] was read ahead
	used int
}

// firstRead is how much room the first read gets: most clients' whole sign-in.
const firstRead = 1 << 10

// discard wipes what was given out.
func (b *buffer) discard() {
	clear(b.data[:b.used])
	if b.used == len(b.data) {
		b.data = b.data[:0]
	} else {
		n := copy(b.data, b.data[b.used:])
		clear(b.data[n:])
		b.data = b.data[:n]
	}
	b.used = 0
}

// fill reads once more. The data may move.
func (b *buffer) fill() error {
	if len(b.data) == cap(b.data) {
		grown := make([]byte, len(b.data), max(firstRead, 2*cap(b.data)))
		copy(grown, b.data)
		clear(b.data)
		b.data = grown
	}
	for range 100 {
		n, err := b.r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// line gives out the bytes from offset from to the next LF, which is included, reading as needed. A line longer than limit
// is a LimitError about what.
func (b *buffer) line(from, limit int, what string) ([]byte, error) {
	scanned := from
	for {
		if i := bytes.IndexByte(b.data[scanned:], '\n'); i >= 0 {
			end := scanned + i + 1
			if end-from > limit {
				return nil, &LimitError{what, limit}
			}
			b.used = end
			return b.data[from:end], nil
		}
		scanned = len(b.data)
		if scanned-from >= limit {
			return nil, &LimitError{what, limit}
		}
		if err := b.fill(); err != nil {
			return nil, b.cut(from, err)
		}
	}
}

// need reads until n bytes stand behind offset from, and gives them out.
func (b *buffer) need(from, n int) error {
	for len(b.data)-from < n {
		if err := b.fill(); err != nil {
			return b.cut(from, err)
		}
	}
	b.used = from + n
	return nil
}

// cut turns an end in the middle of something into io.ErrUnexpectedEOF.
func (b *buffer) cut(from int, err error) error {
	if err == io.EOF && (from > 0 || len(b.data) > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// withLiterals gives out one line and, as long as it ends in a literal's marker, the literal and the line behind it.
func (b *buffer) withLiterals(line, literal, total int, what string, proceed func() error) ([]byte, error) {
	b.discard()
	from := 0
	for {
		text, err := b.line(from, line, what)
		if err != nil {
			return nil, err
		}
		m, found := lineMarker(text[:len(text)-1])
		if !found {
			return b.data[:b.used], nil
		}
		if m.size > int64(literal) {
			return nil, &LimitError{"literal", literal}
		}
		from = b.used
		if from+int(m.size) > total {
			return nil, &LimitError{what, total}
		}
		if !m.plus && proceed != nil {
			if err := proceed(); err != nil {
				return nil, err
			}
		}
		if err := b.need(from, int(m.size)); err != nil {
			return nil, err
		}
		from = b.used
		if line = min(line, total-from); line <= 0 {
			return nil, &LimitError{what, total}
		}
	}
}
