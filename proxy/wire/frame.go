package wire

import "bytes"

// frame is a scanner's place between two pieces of bytes: before a line, in a line, or in a literal. The scanner keeps
// nothing else. The zero value is before a line. Every session has three frames, so size has two meanings to save room.
type frame struct {
	size  int64       // in a literal: the bytes still to come; in a line: the number in its marker so far
	phase markerPhase // of the line's last bytes, if the line comes in pieces
	plus  bool        // in that marker
	state frameState
	// expected: the next line of a client belongs to the command before it. It is here to save room.
	expected bool
}

type frameState uint8

const (
	atLineStart frameState = iota
	inLine                 // in a line that may end in a literal's marker
	inLiteral              // in one that such a line announced
	inText                 // in a line that never announces one
)

// boundary is what frame.pass has reached.
type boundary uint8

const (
	noBoundary     boundary = iota // no more bytes
	lineEnd                        // of a line that might have announced a literal
	textEnd                        // of a line that might not
	literalSync                    // a line's end and a literal to come, which has to be allowed first
	literalNonSync                 // a line's end and a literal to come
	literalEnd                     // of a literal that had bytes
)

// pass scans to the end of the frame's line or literal, and returns how many bytes of p it has used.
func (f *frame) pass(p []byte) (n int, b boundary) {
	if f.state == inLiteral {
		n = int(min(f.size, int64(len(p))))
		if f.size -= int64(n); f.size == 0 {
			f.state = inLine
			return n, literalEnd
		}
		return n, noBoundary
	}
	eol := bytes.IndexByte(p, '\n')
	if eol < 0 {
		if f.state == inLine {
			m := marker{f.size, f.phase, f.plus}
			m.feed(p)
			f.size, f.phase, f.plus = m.size, m.phase, m.plus
		}
		return len(p), noBoundary
	}
	return eol + 1, f.endLine(p[:eol])
}

// holdPlus takes back the end of a marker that may be non-synchronising, from its "+" on: the caller can decide about
// the "+" only at the end of the line. It returns how many bytes it has taken back.
func (f *frame) holdPlus() (n int) {
	if f.state != inLine || !f.plus || f.phase < markerPlus {
		return 0
	}
	n = int(f.phase-markerPlus) + len("+")
	f.phase, f.plus = markerDigits, false
	return n
}

// endLine ends a line. Its last piece is given without LF.
func (f *frame) endLine(piece []byte) boundary {
	if f.state == inText {
		f.state = atLineStart
		return textEnd
	}
	m := marker{f.size, f.phase, f.plus}
	if m.phase == markerNone {
		m = lineMarker(piece)
	} else {
		m.feed(piece)
	}
	if !m.found() {
		*f = frame{}
		return lineEnd
	}
	*f = frame{size: m.size, state: inLiteral}
	if m.size == 0 {
		f.state = inLine
	}
	if m.plus {
		return literalNonSync
	}
	return literalSync
}
