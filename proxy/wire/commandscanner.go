package wire

import "bytes"

// MaxTag is the longest tag that is waited for, in bytes.
const MaxTag = 64

// CommandEvent is what a CommandScanner came upon.
type CommandEvent uint8

const (
	// CommandMore: everything offered is used, but for an undecided head of a line, which wants more bytes behind it.
	CommandMore CommandEvent = iota
	// CommandBegin: here begins a command; its tag and verb are in Head. None of it is used yet.
	CommandBegin
	// CommandSync: a synchronising literal was announced; the server has to allow it before the client goes on.
	CommandSync
	// CommandEnd: the command's last byte is behind us.
	CommandEnd
	// CommandLine: the line that ExpectLine announced is behind us.
	CommandLine
	// CommandStray: here begins a line without a valid tag. None of it is used yet; it ends in CommandEnd.
	CommandStray
	// CommandLongTag: as CommandStray, the tag being longer than MaxTag.
	CommandLongTag
)

// CommandHead is what is known of a command at CommandBegin.
type CommandHead struct {
	Verb   Verb
	TagLen int // the tag is so many bytes from where the command begins
}

type scanState uint8

const (
	atLineStart scanState = iota
	inLine                // in a line that may end in a literal's marker
	inText                // in a line that never does
)

// CommandScanner finds the commands in what a client sends, however it is cut. It keeps no byte of it. The zero value stands
// at the start of a line. It is not safe for concurrent use.
//
// Blank lines are passed over in silence.
type CommandScanner struct {
	literal  int64 // bytes of a literal still to come
	marker   marker
	state    scanState
	expected bool // the next line belongs to the command before it
}

// ExpectLine says that the next line is part of the command before it, whatever it holds: a DONE, a SASL response. It never
// announces a literal.
func (s *CommandScanner) ExpectLine() { s.expected = true }

// CancelLiteral says that the server refused the literal just announced: the command is over, and a new line follows.
func (s *CommandScanner) CancelLiteral() { *s = CommandScanner{} }

// AtLineStart says whether all commands so far are complete.
func (s *CommandScanner) AtLineStart() bool { return s.state == atLineStart && s.literal == 0 }

// Next walks on through p, which continues where the last call stopped, and stops at the first event. It returns how many
// bytes it has passed; the rest is to be offered again.
func (s *CommandScanner) Next(p []byte) (n int, event CommandEvent, head CommandHead) {
	for n < len(p) {
		switch {
		case s.literal > 0:
			skip := min(s.literal, int64(len(p)-n))
			s.literal -= skip
			n += int(skip)
		case s.state == atLineStart && s.expected:
			s.expected = false
			s.state = inText
		case s.state == atLineStart:
			var blank int
			event, head, blank = commandHead(p[n:])
			if event == CommandMore && blank == 0 {
				return n, CommandMore, head
			}
			if n += blank; blank == 0 {
				s.state = inLine
				return n, event, head
			}
		default:
			eol := bytes.IndexByte(p[n:], '\n')
			if eol < 0 {
				if s.state == inLine {
					s.marker.feed(p[n:])
				}
				return len(p), CommandMore, head
			}
			line := p[n : n+eol]
			n += eol + 1
			if event = s.endLine(line); event != CommandMore {
				return n, event, head
			}
		}
	}
	return n, CommandMore, head
}

// endLine closes a line, whose last piece is given without LF.
func (s *CommandScanner) endLine(line []byte) CommandEvent {
	if s.state == inText {
		s.state = atLineStart
		return CommandLine
	}
	m, found := s.marker, false
	if m.phase == markerNone {
		m, found = lineMarker(line)
	} else {
		m.feed(line)
		found = m.found()
	}
	s.marker = marker{}
	if !found {
		s.state = atLineStart
		return CommandEnd
	}
	s.literal = m.size
	if m.plus {
		return CommandMore
	}
	return CommandSync
}

// commandHead looks at the start of a line. It answers CommandMore when more bytes are needed to tell, and a number of bytes
// when the line is blank.
func commandHead(p []byte) (event CommandEvent, head CommandHead, blank int) {
	if p[0] == '\n' {
		return CommandMore, head, 1
	}
	if p[0] == '\r' {
		switch {
		case len(p) == 1:
			return CommandMore, head, 0
		case p[1] == '\n':
			return CommandMore, head, 2
		}
		return CommandStray, head, 0
	}
	tag := span(p, charTag, MaxTag+1)
	switch {
	case tag > MaxTag:
		return CommandLongTag, head, 0
	case tag == len(p):
		return CommandMore, head, 0
	case tag == 0 || p[tag] != ' ' && !isLineEnd(p[tag]):
		return CommandStray, head, 0
	}
	head.TagLen = tag
	event, head.Verb = headVerb(p[tag:])
	return event, head, 0
}

// maxSpaces bounds the blanks looked through before a verb; the grammar allows one.
const maxSpaces = 64

// headVerb reads the verb behind a tag. A verb ends at the first byte that is no letter, so that no server's idea of a blank
// hides one that must be intercepted.
func headVerb(p []byte) (CommandEvent, Verb) {
	word, rest, event := headWord(p)
	if event != CommandBegin {
		return event, VerbOther
	}
	uid := rest[0] == ' ' && bytes.EqualFold(word, []byte("UID"))
	if uid {
		if word, rest, event = headWord(rest); event != CommandBegin {
			return event, VerbOther
		}
	}
	v := lookupVerb(word, uid)
	if rest[0] != ' ' && !isLineEnd(rest[0]) && !v.Intercepted() {
		v = VerbOther
	}
	return CommandBegin, v
}

// headWord reads blanks and the letters behind them. With CommandBegin, rest has at least one byte.
func headWord(p []byte) (word, rest []byte, event CommandEvent) {
	spaces := 0
	for spaces < len(p) && p[spaces] == ' ' {
		if spaces++; spaces > maxSpaces {
			return nil, nil, CommandStray
		}
	}
	p = p[spaces:]
	n := span(p, charAlpha, maxVerb+1)
	if n == len(p) && n <= maxVerb {
		return nil, nil, CommandMore
	}
	return p[:n], p[n:], CommandBegin
}

// Intercepted says whether the proxy itself answers the verb after sign-in: it would change the stream under the scanner.
func (v Verb) Intercepted() bool {
	return v == VerbCompress || v == VerbStartTLS || v == VerbUnauthenticate
}
