package relay

import "crypto/tls"

// keptBuffers bounds how many buffers for unsent bytes a loop keeps while nobody needs them.
const keptBuffers = 32

// pending has the bytes that the kernel has not taken yet; with TLS, the records. Few sessions ever need one, so the
// loop lends it.
type pending struct {
	data []byte
	sent int // bytes of data that are sent
}

// size returns how many bytes are left to send. A nil pending has none.
func (p *pending) size() int {
	if p == nil {
		return 0
	}
	return len(p.data) - p.sent
}

// lendPending lends an empty pending.
func (lp *loop) lendPending() *pending {
	lp.lentSinceTick = true
	if n := len(lp.spare); n > 0 {
		p := lp.spare[n-1]
		lp.spare = lp.spare[:n-1]
		return p
	}
	return &pending{data: make([]byte, 0, readSize+readSize/8)}
}

// recycle takes a pending back. It does not keep one that has grown large.
func (lp *loop) recycle(p *pending) {
	if p != nil && cap(p.data) <= 2*readSize && len(lp.spare) < keptBuffers {
		p.data, p.sent = p.data[:0], 0
		lp.spare = append(lp.spare, p)
	}
}

// readBuffer returns the loop's buffer for a read of this many bytes, with headRoom in front of it.
func (lp *loop) readBuffer(size int) []byte {
	if size <= readSize {
		return lp.buf
	}
	if lp.bulkBuf == nil {
		lp.bulkBuf = make([]byte, headRoom+bulkSize)
	}
	lp.bulkSinceTick = true
	return lp.bulkBuf
}

// trim frees half of the spare buffers if none was lent since the last call, and the buffer for large reads if there
// was no large read.
func (lp *loop) trim() {
	if !lp.bulkSinceTick {
		lp.bulkBuf = nil
	}
	lp.bulkSinceTick = false
	if !lp.lentSinceTick {
		left := len(lp.spare) / 2
		clear(lp.spare[left:])
		lp.spare = lp.spare[:left]
	}
	lp.lentSinceTick = false
}

// lend gives a TLS connection the loop's buffer to read with.
func (lp *loop) lend(c *tls.Conn) {
	if lp.records == nil {
		lp.records = make([]byte, 0, lentSize)
	}
	if inTLS.lend(c, lp.records) {
		lp.records = nil
	}
}

// takeBack takes the buffer back, if no part of a record is left in it.
func (lp *loop) takeBack(c *tls.Conn) {
	if buf := inTLS.takeBack(c); cap(buf) >= lentSize {
		lp.records = buf
	}
}
