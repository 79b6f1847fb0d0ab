package wire

import "bytes"

// MaxCapabilityLine is the longest line that is waited for because it may be a capability list, in bytes. A longer one
// passes as it is.
const MaxCapabilityLine = 8 << 10

// ResponseEvent is what a ResponseScanner came upon. At every event but ResponseMore a line begins, none of it used
// yet.
type ResponseEvent uint8

const (
	// ResponseMore: everything offered is used, but for a line begun that wants more bytes behind it.
	ResponseMore ResponseEvent = iota
	// ResponseTagged: the answer to a command. Its tag, status and perhaps a capability list are in Line.
	ResponseTagged
	// ResponseContinue: a continuation request, "+".
	ResponseContinue
	// ResponseStatus: an untagged BYE or BAD, or an untagged line with a capability list.
	ResponseStatus
	// ResponseGarbage: a line that begins with a byte of no text, and may be compressed. Other lines that are no IMAP
	// pass without an event: a blank one, a piece of a response, a line for people.
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

// ResponseScanner finds in what a server sends, however it is cut, the lines that mean something to a proxy. All
// others pass without an event. It keeps no byte. The zero value stands at the start of a line. It is not safe for
// concurrent use.
type ResponseScanner struct {
	frame frame
	data  uint32
}

// Data returns how many responses with data have begun so far, such as FETCH, LIST or EXISTS. It wraps around.
func (s *ResponseScanner) Data() uint32 { return s.data }

// AtLineStart says whether all responses so far are complete: here, and only here, a line of our own may go in.
func (s *ResponseScanner) AtLineStart() bool { return s.frame.state == atLineStart }

// Hold takes back the event that Next has just returned, of a line that is to be offered again with more behind it.
func (s *ResponseScanner) Hold() { s.frame = frame{} }

// Next walks on through p, which continues where the last call stopped, and stops at the first event. It returns how
// many bytes it has passed; the rest is to be offered again.
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

// dataLines passes whole lines of the commonest kind, message data ("* 12 FETCH ..."), and stops behind a literal's
// marker or in front of any other line. It tells nothing that responseHead would not; it is there for its speed.
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

// responseHead looks at the start of a line, and says how the rest of it is to be read. The state is atLineStart when
// more bytes are needed to tell.
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

// mayBeDeflate says whether a DEFLATE stream that goes on, or a TLS record, may begin with c: its low bit says that
// the first block is the last one (RFC 1951 section 3.2.3). Byte order marks, BEL and ESC have it set.
func mayBeDeflate(c byte) bool { return c&1 == 0 }

// isText says whether a line of text may begin with c.
func isText(c byte) bool { return c >= ' ' && c < 0x7f || c == '\t' || isLineEnd(c) }

// hasList notes that the line that p begins with holds a capability list. It answers false when the line has to be
// waited for.
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
