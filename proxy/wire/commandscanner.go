package wire

// MaxTag is the length of the longest tag that the scanners accept, in bytes.
const MaxTag = 64

// CommandEvent is what a CommandScanner has found.
type CommandEvent uint8

const (
	// CommandMore: all bytes are used, except for an undecided head of a line, or the end of an undecided literal
	// marker from its "+". These must be offered again with more bytes.
	CommandMore CommandEvent = iota
	// CommandBegin: a command begins here; its tag and verb are in the CommandHead. None of it is used yet.
	CommandBegin
	// CommandSync: a synchronising literal was announced; the client waits until the server allows it.
	CommandSync
	// CommandNonSync: a non-synchronising literal was announced and follows. The bytes just used end in its marker, "+"
	// included.
	CommandNonSync
	// CommandLiteral: the last byte of a literal is used. An empty literal has no such event.
	CommandLiteral
	// CommandEnd: the command's last byte is used.
	CommandEnd
	// CommandLine: the last byte of the line that ExpectLine announced is used.
	CommandLine
	// CommandOdd: an odd line begins here. It has no valid tag, or a control character or too many blanks in front of
	// its verb. None of it is used yet; it ends in CommandEnd.
	CommandOdd
	// CommandLongTag: as CommandOdd; the tag is longer than MaxTag.
	CommandLongTag
)

// CommandHead is what is known of a command at CommandBegin.
type CommandHead struct {
	Verb   Verb
	TagLen int // length of the tag in bytes, from where the command begins
	Len    int // the tag, the verb and the blanks between them, in bytes
}

// CommandScanner finds the commands in a client's bytes, which may come in pieces of any size. It keeps none of them.
// The zero value is at the start of a line. It is not safe for concurrent use.
//
// It skips blank lines without an event. Only LF ends a line, with or without a CR.
type CommandScanner struct {
	frame frame
}

// ExpectLine makes the next line part of the command before it, whatever it holds: a DONE, a SASL response. That line
// never announces a literal.
func (s *CommandScanner) ExpectLine() { s.frame.expected = true }

// CancelLiteral ends the command, because the server has refused the literal just announced. A new line follows.
func (s *CommandScanner) CancelLiteral() { *s = CommandScanner{} }

// InLiteral says whether the next byte belongs to a literal.
func (s *CommandScanner) InLiteral() bool { return s.frame.state == inLiteral }

// LiteralSize returns how much of the literal just announced is still to come, in bytes.
func (s *CommandScanner) LiteralSize() int64 {
	if s.frame.state != inLiteral {
		return 0
	}
	return s.frame.size
}

// AtLineStart says whether all commands so far are complete.
func (s *CommandScanner) AtLineStart() bool { return s.frame.state == atLineStart }

// Next scans p, which continues where the last call stopped, up to the first event. It returns how many bytes it has
// used; the caller offers the rest again.
func (s *CommandScanner) Next(p []byte) (n int, event CommandEvent, head CommandHead) {
	for n < len(p) {
		switch {
		case s.frame.state != atLineStart:
			passed, b := s.frame.pass(p[n:])
			n += passed
			if event = commandEvents[b]; event == CommandMore {
				n -= s.frame.holdPlus()
			}
			return n, event, head
		case s.frame.expected:
			s.frame.expected, s.frame.state = false, inText
		default:
			if blank := blankLine(p[n:]); blank > 0 {
				n += blank
				continue
			}
			if event, head = commandHead(p[n:]); event != CommandMore {
				s.frame.state = inLine
			}
			return n, event, head
		}
	}
	return n, CommandMore, head
}

var commandEvents = [...]CommandEvent{
	noBoundary:     CommandMore,
	lineEnd:        CommandEnd,
	textEnd:        CommandLine,
	literalSync:    CommandSync,
	literalNonSync: CommandNonSync,
	literalEnd:     CommandLiteral,
}

// blankLine returns the length of the line that p begins with if it is blank, else 0.
func blankLine(p []byte) int {
	switch {
	case p[0] == '\n':
		return 1
	case p[0] == '\r' && len(p) > 1 && p[1] == '\n':
		return 2
	}
	return 0
}

// commandHead scans the start of a line that is not blank. It returns CommandMore if it needs more bytes.
func commandHead(p []byte) (event CommandEvent, head CommandHead) {
	if len(p) == 1 && p[0] == '\r' {
		return CommandMore, head
	}
	tag := span(p, charTag, MaxTag+1)
	switch {
	case tag > MaxTag:
		return CommandLongTag, head
	case tag == len(p):
		return CommandMore, head
	case tag == 0 || !endsWord(p[tag]):
		return CommandOdd, head
	}
	verb, size, event := headVerb(p[tag:])
	if event == CommandBegin {
		head = CommandHead{Verb: verb, TagLen: tag, Len: tag + size}
	}
	return event, head
}

// headVerb reads the verb after a tag. Servers disagree about what a blank is, and that must not hide a verb that must
// be intercepted. So such a verb ends at the first byte that is no letter, and a line whose verb may begin after a
// control character or too many blanks is odd.
func headVerb(p []byte) (verb Verb, size int, event CommandEvent) {
	word, rest := nextWord(p)
	uid := len(rest) > 0 && rest[0] == ' ' && equalFold(word, "UID")
	if uid {
		word, rest = nextWord(rest)
	}
	switch {
	case len(rest) == 0:
		return VerbOther, 0, CommandMore
	case len(word) == 0 && rest[0] <= ' ' && !isLineEnd(rest[0]):
		return VerbOther, 0, CommandOdd
	}
	verb = lookupVerb(word, uid)
	if !endsWord(rest[0]) && !verb.Intercepted() {
		verb = VerbOther
	}
	return verb, len(p) - len(rest), CommandBegin
}
