package wire

import "bytes"

// MaxCapabilityLine is the longest line that is waited for because it may be a capability list, in bytes. A longer one passes
// as it is.
const MaxCapabilityLine = 8 << 10

// Status is a response's status (RFC 9051 section 7.1).
type Status uint8

// The statuses.
const (
	StatusNone Status = iota
	StatusOK
	StatusNO
	StatusBAD
	StatusBYE
	StatusPREAUTH
)

// ResponseEvent is what a ResponseScanner came upon. At every event but ResponseMore a line begins, none of it used yet.
type ResponseEvent uint8

const (
	// ResponseMore: everything offered is used, but for a line begun that wants more bytes behind it.
	ResponseMore ResponseEvent = iota
	// ResponseTagged: the answer to a command. Its tag, status and perhaps a capability list are in Line.
	ResponseTagged
	// ResponseContinue: a continuation request, "+".
	ResponseContinue
	// ResponseStatus: an untagged BYE, or an untagged line with a capability list.
	ResponseStatus
	// ResponseStray: a line that is no IMAP.
	ResponseStray
)

// ResponseLine is what is known of a line at an event.
type ResponseLine struct {
	TagLen       int
	Status       Status
	Capabilities int  // length of the whole line, LF included, if it holds a capability list; else 0
	TooLong      bool // it holds a list, but is longer than MaxCapabilityLine
}

// ResponseScanner finds in what a server sends, however it is cut, the lines that mean something to a proxy. All others pass
// without an event. It keeps no byte. The zero value stands at the start of a line. It is not safe for concurrent use.
type ResponseScanner struct {
	literal int64
	marker  marker
	state   scanState
}

// AtLineStart says whether all responses so far are complete: here, and only here, a line of our own may go in.
func (s *ResponseScanner) AtLineStart() bool { return s.state == atLineStart && s.literal == 0 }

// Next walks on through p, which continues where the last call stopped, and stops at the first event. It returns how many
// bytes it has passed; the rest is to be offered again.
func (s *ResponseScanner) Next(p []byte) (n int, event ResponseEvent, line ResponseLine) {
	for n < len(p) {
		switch {
		case s.literal > 0:
			skip := min(s.literal, int64(len(p)-n))
			s.literal -= skip
			n += int(skip)
		case s.state == atLineStart:
			if n = s.dataLines(p, n); n == len(p) || s.state != atLineStart || s.literal > 0 {
				continue
			}
			var known bool
			event, line, s.state, known = responseHead(p[n:])
			if !known || event != ResponseMore {
				return n, event, line
			}
		default:
			eol := bytes.IndexByte(p[n:], '\n')
			if eol < 0 {
				if s.state == inLine {
					s.marker.feed(p[n:])
				}
				return len(p), ResponseMore, line
			}
			s.endLine(p[n : n+eol])
			n += eol + 1
		}
	}
	return n, ResponseMore, line
}

// dataLines passes whole lines of the commonest kind, message data ("* 12 FETCH ..."), and stops at any other.
func (s *ResponseScanner) dataLines(p []byte, n int) int {
	for n+3 < len(p) && p[n] == '*' && p[n+1] == ' ' && p[n+2]-'0' <= 9 {
		eol := bytes.IndexByte(p[n:], '\n')
		if eol < 0 {
			s.state = inLine
			return n
		}
		line := p[n : n+eol]
		n += eol + 1
		if m, found := lineMarker(line); found {
			s.state, s.literal = inLine, m.size
			return n
		}
	}
	return n
}

// endLine closes a line, whose last piece is given without LF.
func (s *ResponseScanner) endLine(line []byte) {
	m, found := s.marker, false
	switch {
	case s.state == inText:
	case m.phase == markerNone:
		m, found = lineMarker(line)
	default:
		m.feed(line)
		found = m.found()
	}
	s.marker = marker{}
	if found {
		s.literal = m.size
	} else {
		s.state = atLineStart
	}
}

// responseHead looks at the start of a line. It says how the rest of the line is to be read, and known=false when more bytes
// are needed to tell anything.
func responseHead(p []byte) (event ResponseEvent, line ResponseLine, state scanState, known bool) {
	switch {
	case p[0] == '+':
		return ResponseContinue, line, inText, true
	case p[0] == '*':
		return untaggedHead(p)
	}
	tag := span(p, charTag, MaxTag+1)
	if tag == len(p) && tag <= MaxTag {
		return ResponseMore, line, atLineStart, false
	}
	if tag == 0 || tag > MaxTag || p[tag] != ' ' {
		return ResponseStray, line, inText, true
	}
	word, rest, known := responseWord(p[tag+1:])
	if !known {
		return ResponseMore, line, atLineStart, false
	}
	line.TagLen = tag
	line.Status = statusOf(word)
	if line.Status == StatusNone || line.Status > StatusBAD {
		return ResponseStray, ResponseLine{}, inText, true
	}
	if !line.list(p, codeMayList(rest)) {
		return ResponseMore, line, atLineStart, false
	}
	return ResponseTagged, line, inText, true
}

func untaggedHead(p []byte) (event ResponseEvent, line ResponseLine, state scanState, known bool) {
	if len(p) == 1 {
		return ResponseMore, line, atLineStart, false
	}
	if p[1] != ' ' {
		return ResponseStray, line, inText, true
	}
	word, rest, known := responseWord(p[2:])
	if !known {
		return ResponseMore, line, atLineStart, false
	}
	list := no
	if line.Status = statusOf(word); line.Status != StatusNone {
		list = codeMayList(rest)
	} else if bytes.EqualFold(word, capabilityWord) {
		list = yes
	}
	if !line.list(p, list) {
		return ResponseMore, line, atLineStart, false
	}
	switch {
	case line.Capabilities > 0 || line.TooLong || line.Status == StatusBYE:
		return ResponseStatus, line, inText, true
	case line.Status != StatusNone:
		return ResponseMore, line, inText, true
	}
	return ResponseMore, line, inLine, true
}

// answer is yes, no, or that more bytes are needed.
type answer uint8

const (
	no answer = iota
	yes
	unknown
)

var capabilityWord = []byte("CAPABILITY")

// list notes the capability list of the line that begins p. It answers false when the line has to be waited for.
func (l *ResponseLine) list(p []byte, a answer) bool {
	switch a {
	case no:
		return true
	case unknown:
		return false
	}
	if eol := bytes.IndexByte(p[:min(len(p), MaxCapabilityLine)], '\n'); eol >= 0 {
		l.Capabilities = eol + 1
		return true
	}
	l.TooLong = len(p) >= MaxCapabilityLine
	return l.TooLong
}

// codeMayList says whether what follows a status word is " [CAPABILITY".
func codeMayList(rest []byte) answer {
	spaces := blanks(rest)
	rest = rest[spaces:]
	if len(rest) == 0 {
		return unknown
	}
	if rest[0] != '[' || spaces == 0 {
		return no
	}
	rest = rest[1:]
	rest = rest[blanks(rest):]
	for i, c := range capabilityWord {
		if i == len(rest) {
			return unknown
		}
		if upperCase(rest[i]) != c {
			return no
		}
	}
	return yes
}

// responseWord reads the letters or digits behind "* " or a tag. It answers false when more bytes are needed.
func responseWord(p []byte) (word, rest []byte, known bool) {
	p = p[blanks(p):]
	n := span(p, charAlpha, len(capabilityWord)+1)
	if n == len(p) && n <= len(capabilityWord) {
		return nil, nil, false
	}
	return p[:n], p[n:], true
}

// blanks counts the blanks that p begins with, bounded.
func blanks(p []byte) int {
	n := 0
	for n < len(p) && n < maxSpaces && p[n] == ' ' {
		n++
	}
	return n
}

func statusOf(word []byte) Status {
	if len(word) > 7 || len(word) < 2 {
		return StatusNone
	}
	var upper [7]byte
	for i, c := range word {
		upper[i] = upperCase(c)
	}
	switch string(upper[:len(word)]) {
	case "OK":
		return StatusOK
	case "NO":
		return StatusNO
	case "BAD":
		return StatusBAD
	case "BYE":
		return StatusBYE
	case "PREAUTH":
		return StatusPREAUTH
	}
	return StatusNone
}
