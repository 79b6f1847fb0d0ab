package bench

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// Limits of a server's responses.
const (
	readerSize  = 4 << 10
	maxLine     = 64 << 10 // one response without its literals
	maxLiterals = 1 << 10  // in one response
	maxLiteral  = 1 << 40
	chunkSize   = 128 << 10
)

// castagnoli is the table of the checksum, which processors calculate in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunks are lent to readers while they skip a literal.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// literal is the length and checksum of a literal. A body is checked while it is read, and not stored.
type literal struct {
	size uint64
	sum  uint32
}

// responseReader splits a server's bytes into responses. It reads no further than necessary, keeps one response, and
// has a limit for each.
type responseReader struct {
	src      io.Reader
	buf      []byte
	from, to int
	total    uint64 // bytes read so far
	text     []byte // of a response that has literals
	resp     response
}

func newResponseReader(src io.Reader) *responseReader {
	return &responseReader{src: src, buf: make([]byte, readerSize)}
}

// reset continues with another source. It drops bytes that were read and not used, and returns their number.
func (r *responseReader) reset(src io.Reader) int {
	left := r.to - r.from
	r.src, r.from, r.to = src, 0, 0
	return left
}

// holds reports whether bytes were read and not used.
func (r *responseReader) holds() bool { return r.from < r.to }

// await waits until there is something to read.
func (r *responseReader) await() error {
	if r.holds() {
		return nil
	}
	if d, ok := r.src.(*deflated); ok {
		return d.await()
	}
	return r.fill()
}

// rest removes and returns the bytes that were read and not used.
func (r *responseReader) rest() []byte {
	rest := bytes.Clone(r.buf[r.from:r.to])
	r.from = r.to
	return rest
}

// read returns the next response, which is valid until the next call. The text keeps the announcement of a literal.
func (r *responseReader) read() (*response, error) {
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	r.resp.literals = r.resp.literals[:0]
	size, found := announced(line)
	if !found || !mayHoldLiterals(line) {
		return &r.resp, r.resp.parse(line)
	}
	r.text = append(r.text[:0], line...)
	for found {
		if err := r.pass(size); err != nil {
			return nil, err
		}
		if line, err = r.line(); err != nil {
			return nil, err
		}
		if r.text = append(r.text, line...); len(r.text) > maxLine {
			return nil, protocolError("a response of more than %d bytes beside its literals", maxLine)
		}
		size, found = announced(line)
	}
	return &r.resp, r.resp.parse(r.text)
}

// line returns a line without its end. It is valid until more is read.
func (r *responseReader) line() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.from+scanned:r.to], '\n'); i >= 0 {
			line := r.buf[r.from : r.from+scanned+i]
			r.from += scanned + i + 1
			if len(line) == 0 || line[len(line)-1] != '\r' {
				return nil, protocolError("a line that does not end with CR LF: %s", r.resp.quote(line))
			}
			return line[:len(line)-1], nil
		}
		scanned = r.to - r.from
		if scanned >= maxLine {
			return nil, protocolError("a line of more than %d bytes", maxLine)
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads at least one more byte.
func (r *responseReader) fill() error {
	if r.from == r.to {
		r.from, r.to = 0, 0
	} else if r.to == len(r.buf) {
		if r.from == 0 {
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
		r.to = copy(r.buf, r.buf[r.from:r.to])
		r.from = 0
	}
	n, err := r.src.Read(r.buf[r.to:])
	r.to += n
	r.total += uint64(n)
	if n > 0 {
		return nil // errors repeat
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// pass reads a literal and keeps only its checksum.
func (r *responseReader) pass(size uint64) error {
	if size > maxLiteral || len(r.resp.literals) == maxLiterals {
		return protocolError("a literal of %d bytes, the %dth", size, len(r.resp.literals)+1)
	}
	n := min(uint64(r.to-r.from), size)
	sum := crc32.Update(0, castagnoli, r.buf[r.from:r.from+int(n)])
	r.from += int(n)
	left := size - n
	if left > 0 {
		chunk := chunks.Get().(*[chunkSize]byte)
		defer chunks.Put(chunk)
		for left > 0 {
			n, err := r.src.Read(chunk[:min(left, chunkSize)])
			sum = crc32.Update(sum, castagnoli, chunk[:n])
			left -= uint64(n)
			r.total += uint64(n)
			if n == 0 && err != nil {
				return err
			}
		}
	}
	r.resp.literals = append(r.resp.literals, literal{size, sum})
	return nil
}

// announced reads the announcement of a literal at the end of a line: {n}, ~{n} or {n+}.
func announced(line []byte) (size uint64, found bool) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return 0, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false
	}
	return number(bytes.TrimSuffix(line[open+1:len(line)-1], []byte{'+'}))
}

// mayHoldLiterals reports whether a response is data. The text of an answer, a status or a continuation announces no
// literal.
func mayHoldLiterals(line []byte) bool {
	rest, found := bytes.CutPrefix(line, []byte("* "))
	word, _, _ := bytes.Cut(rest, []byte{' '})
	return found && statusOf(word) == statusNone
}

// number parses b, which must consist of decimal digits.
func number(b []byte) (value uint64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + uint64(c-'0')
	}
	return value, true
}

func protocolError(format string, args ...any) error {
	return &failure{kind: KindProtocol, err: fmt.Errorf(format, args...)}
}
