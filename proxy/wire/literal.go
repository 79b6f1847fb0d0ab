package wire

import (
	"bytes"
	"math"
)

// A literal is announced by the last bytes of a line: {n}, {n+}, ~{n} or ~{n+} (RFC 9051 section 4.3, RFC 7888, RFC
// 3516). The tilde changes nothing for framing. A number above 2^63-1 announces nothing.

type markerPhase uint8

const (
	markerNone   markerPhase = iota
	markerOpen               // "{"
	markerDigits             // "{12"
	markerPlus               // "{12+"
	markerClosed             // "{12}" or "{12+}"
	markerCR                 // and its CR
)

// marker follows a line's last bytes while the line comes in pieces.
type marker struct {
	size  int64
	phase markerPhase
	plus  bool
}

// feed takes the next piece of the line.
func (m *marker) feed(p []byte) {
	if i := bytes.LastIndexByte(p, '{'); i >= 0 {
		*m = marker{phase: markerOpen}
		p = p[i+1:]
	}
	for _, c := range p {
		if m.phase == markerNone {
			return
		}
		m.step(c)
	}
}

func (m *marker) step(c byte) {
	switch {
	case c >= '0' && c <= '9' && m.phase <= markerDigits:
		digit := int64(c - '0')
		if m.size > (math.MaxInt64-digit)/10 {
			m.phase = markerNone
			return
		}
		m.size = m.size*10 + digit
		m.phase = markerDigits
	case c == '+' && m.phase == markerDigits:
		m.plus = true
		m.phase = markerPlus
	case c == '}' && (m.phase == markerDigits || m.phase == markerPlus):
		m.phase = markerClosed
	case c == '\r' && m.phase == markerClosed:
		m.phase = markerCR
	default:
		m.phase = markerNone
	}
}

// found says whether the bytes fed so far end in a marker.
func (m *marker) found() bool { return m.phase >= markerClosed }

// lineMarker finds the marker at the end of a whole line, which is given without its LF. For almost every line it reads
// only one or two bytes.
func lineMarker(line []byte) (m marker) {
	if mayEndInMarker(line) {
		m.feed(line)
	}
	return m
}

// mayEndInMarker checks only for a marker's last byte, so that the compiler inlines it on the hot path.
func mayEndInMarker(line []byte) bool {
	n := len(line)
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return n > 0 && line[n-1] == '}'
}
