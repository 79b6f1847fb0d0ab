package wire

import "bytes"

// MaxCapabilityLine is the length of the longest line that may be a capability list to be filtered, in bytes. A longer
// one passes unchanged.
const MaxCapabilityLine = 8 << 10

// ResponseEvent is what a ResponseScanner has found. At every event except ResponseMore a line begins, and none of it
// is used yet.
type ResponseEvent uint8

const (
	// ResponseMore: all bytes are used, except for the start of a line that must be offered again with more bytes.
	ResponseMore ResponseEvent = iota
	// ResponseTagged: the answer to a command. Its tag, status and perhaps a capability list are in the ResponseLine.
	ResponseTagged
	// ResponseContinue: a continuation request, "+".
	ResponseContinue
	// ResponseStatus: an untagged BYE or BAD, or an untagged line with a capability list.
	ResponseStatus
	// ResponseGarbage: a line whose first byte is no text, and may be compressed data. Other lines that are not IMAP
	// pass without an event: a blank line, a piece of a response, a line for people.
	ResponseGarbage
)

// ResponseLine is what is known of a line at an event.
type ResponseLine struct {
	Blank        int // blanks in front of the tag
	TagLen       int
	Status       Status
	Capabilities int // length of the whole line, LF included, if it holds a capability list, or ListTooLong; else 0
}

// ListTooLong stands for the length of a line that holds a capability list and is longer than MaxCapabilityLine.
const ListTooLong = -1

// ResponseScanner finds the lines in a server's bytes that a proxy has to handle. The bytes may come in pieces of any
// size. All other lines pass without an event. It keeps no byte. The zero value is at the start of a line. It is not
// safe for concurrent use.
type ResponseScanner struct {
	frame frame
	data  uint32
}

// Data returns how many responses with data have begun so far, such as FETCH, LIST or EXISTS. It wraps around.
func (s *ResponseScanner) Data() uint32 { return s.data }

// AtLineStart says whether all responses so far are complete. Only here a line of our own may be inserted.
func (s *ResponseScanner) AtLineStart() bool { return s.frame.state == atLineStart }

// Hold takes back the event that Next has just returned. The caller offers the line again with more bytes.
func (s *ResponseScanner) Hold() { s.frame = frame{} }

// Next scans p, which continues where the last call stopped, up to the first event. It returns how many bytes it has
// used; the caller offers the rest again.
func (s *ResponseScanner) Next(p []byte) (n int, event ResponseEvent, line ResponseLine) {
	for n < len(p) {
		if s.frame.state != atLineStart {
			passed, _ := s.frame.pass(p[n:])
			n += passed
			continue
		}
		if passed := s.dataLines(p[n:]); passed > 0 {
			n += passed
			continue
		}
		event, line, s.frame.state = responseHead(p[n:])
		if s.frame.state == inLine {
			s.data++
		}
		if event != ResponseMore || s.frame.state == atLineStart {
			return n, event, line
		}
	}
	return n, ResponseMore, line
}

// dataLines uses whole lines of the most common kind, message data ("* 12 FETCH ..."). It stops after a literal's
// marker, or before any other line. responseHead gives the same result; dataLines is faster.
func (s *ResponseScanner) dataLines(p []byte) (n int) {
	for rest := p; len(rest) > 2 && rest[0] == '*' && rest[1] == ' ' && rest[2]-'0' <= 9; rest = p[n:] {
		eol := bytes.IndexByte(rest, '\n')
		if eol < 0 {
			return n
		}
		n += eol + 1
		s.data++
		if mayEndInMarker(rest[:eol]) {
			s.frame.state = inLine
			if s.frame.endLine(rest[:eol]); s.frame.state != atLineStart {
				return n
			}
		}
	}
	return n
}

// responseHead reads the start of a line, and returns the state for the rest of the line. The state is atLineStart if
// it needs more bytes.
func responseHead(p []byte) (event ResponseEvent, line ResponseLine, state frameState) {
	h, ok := readHead(p)
	switch {
	case h.blank < len(p) && p[h.blank] == '+':
		return ResponseContinue, line, inText
	case ok == unknown:
		return ResponseMore, line, atLineStart
	case ok == no && !isText(p[0]) && mayBeDeflate(p[0]):
		return ResponseGarbage, line, inText
	case ok == no:
		return ResponseMore, line, inText
	}
	line.Status, line.Blank = h.status, h.blank
	if h.list > 0 && !line.hasList(p) {
		return ResponseMore, ResponseLine{}, atLineStart
	}
	switch {
	case h.tag > 0:
		line.TagLen = h.tag
		return ResponseTagged, line, inText
	case h.list > 0 || h.status == StatusBYE || h.status == StatusBAD:
		return ResponseStatus, line, inText
	case h.status != StatusNone:
		return ResponseMore, ResponseLine{}, inText
	}
	return ResponseMore, line, inLine
}

// mayBeDeflate says whether a DEFLATE stream of several blocks, or a TLS record, may begin with c. In DEFLATE, a low
// bit of 1 says that the first block is the last one (RFC 1951 section 3.2.3). Byte order marks, BEL and ESC have that
// bit.
func mayBeDeflate(c byte) bool { return c&1 == 0 }

// isText says whether a line of text may begin with c.
func isText(c byte) bool { return c >= ' ' && c < 0x7f || c == '\t' || isLineEnd(c) }

// hasList records that the line that p begins with has a capability list. It returns false if the end of the line is
// not there yet.
func (l *ResponseLine) hasList(p []byte) bool {
	if eol := bytes.IndexByte(p[:min(len(p), MaxCapabilityLine)], '\n'); eol >= 0 {
		l.Capabilities = eol + 1
		return true
	}
	if len(p) < MaxCapabilityLine {
		return false
	}
	l.Capabilities = ListTooLong
	return true
}
