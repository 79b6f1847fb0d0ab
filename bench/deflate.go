package bench

import (
	"bufio"
	"bytes"
	"io"
	"net"

	"github.com/klauspost/compress/flate"
)

// deflated is a connection with compression in both directions. Writing keeps no state between calls: the windows of
// thousands of sessions would take gigabytes, and clients send little.
type deflated struct {
	net.Conn
	raw   *bufio.Reader // of compressed bytes
	in    io.ReadCloser
	out   bytes.Buffer
	moved func(in, out uint64) // bytes as they are on the wire
}

// newDeflated continues on a connection of which some compressed bytes are already read.
func newDeflated(conn net.Conn, early []byte, moved func(in, out uint64)) *deflated {
	d := &deflated{Conn: conn, moved: moved}
	d.raw = bufio.NewReader(io.MultiReader(bytes.NewReader(early), countedReader{conn, moved}))
	d.in = flate.NewReader(d.raw)
	return d
}

// countedReader counts what is read.
type countedReader struct {
	io.Reader
	moved func(in, out uint64)
}

func (r countedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.moved(uint64(n), 0)
	return n, err
}

// Read implements net.Conn.
func (d *deflated) Read(b []byte) (int, error) { return d.in.Read(b) }

// await waits until there are compressed bytes to read. A deadline that passes meanwhile does not end the compression,
// as it would in Read.
func (d *deflated) await() error {
	_, err := d.raw.Peek(1)
	return err
}

// Write implements net.Conn. All of it is sent at once.
func (d *deflated) Write(b []byte) (int, error) {
	d.out.Reset()
	if err := flate.StatelessDeflate(&d.out, b, false, nil); err != nil {
		return 0, err
	}
	n, err := d.Conn.Write(d.out.Bytes())
	d.moved(0, uint64(n))
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
