package wire

import "bytes"

// frame is where a scanner stands between two chunks, and all that it keeps: in front of a line, in one, or in a literal. The
// zero value stands in front of a line.
type frame struct {
	literal int64  // bytes of a literal still to come
	marker  marker // the line's last bytes, where the line comes in pieces
	state   frameState
}

type frameState uint8

const (
	atLineStart frameState = iota
	inLine                 // in a line that may end in a literal's marker, or in such a literal
	inText                 // in a line that never does
)

// boundary is what a frame came to.
type boundary uint8

const (
	noBoundary  boundary = iota // a literal's end, or no more bytes
	lineEnd                     // of a line that might have announced a literal
	textEnd                     // of a line that might not
	literalSync                 // a line's end and a literal to come, which has to be allowed first
	literalFree                 // a line's end and a literal to come
)

// pass walks on through the line or literal that the frame stands in, and returns how many bytes of p it has passed.
func (f *frame) pass(p []byte) (n int, b boundary) {
	if f.literal > 0 {
		n = int(min(f.literal, int64(len(p))))
		f.literal -= int64(n)
		return n, noBoundary
	}
	eol := bytes.IndexByte(p, '\n')
	if eol < 0 {
		if f.state == inLine {
			f.marker.feed(p)
		}
		return len(p), noBoundary
	}
	return eol + 1, f.endLine(p[:eol])
}

// endLine closes a line, whose last piece is given without LF.
func (f *frame) endLine(piece []byte) boundary {
	if f.state == inText {
		f.state = atLineStart
		return textEnd
	}
	m := f.marker
	f.marker = marker{}
	if m.phase == markerNone {
		m = lineMarker(piece)
	} else {
		m.feed(piece)
	}
	switch {
	case !m.found():
		f.state = atLineStart
		return lineEnd
	case m.plus:
		f.literal = m.size
		return literalFree
	}
	f.literal = m.size
	return literalSync
}
