package wire

// MaxTag is the longest tag that is waited for, in bytes.
const MaxTag = 64

// CommandEvent is what a CommandScanner came upon.
type CommandEvent uint8

const (
	// CommandMore: everything offered is used, but for an undecided head of a line, or the "+" of an undecided literal
	// marker and what follows it, which want more bytes behind them.
	CommandMore CommandEvent = iota
	// CommandBegin: here begins a command; its tag and verb are in Head. None of it is used yet.
	CommandBegin
	// CommandSync: a synchronising literal was announced; the server has to allow it before the client goes on.
	CommandSync
	// CommandFree: a non-synchronising literal was announced, whose marker is the end of what was passed, "+"
	// included. It follows.
	CommandFree
	// CommandLiteral: the last byte of a literal is behind us, of which there was at least one.
	CommandLiteral
	// CommandEnd: the command's last byte is behind us.
	CommandEnd
	// CommandLine: the line that ExpectLine announced is behind us.
	CommandLine
	// CommandStray: here begins a line without a valid tag, or with a control character or too many blanks in front of
	// its verb. None of it is used yet; it ends in CommandEnd.
	CommandStray
	// CommandLongTag: as CommandStray, the tag being longer than MaxTag.
	CommandLongTag
)

// CommandHead is what is known of a command at CommandBegin.
type CommandHead struct {
	Verb   Verb
	TagLen int // length of the tag in bytes, from where the command begins
	Len    int // the tag, the verb and the blanks between them, in bytes
}

// CommandScanner finds the commands in what a client sends, however it is cut. It keeps no byte of it. The zero value
// stands at the start of a line. It is not safe for concurrent use.
//
// Blank lines are passed over in silence. Only LF ends a line, with or without a CR.
type CommandScanner struct {
	frame frame
}

// ExpectLine says that the next line is part of the command before it, whatever it holds: a DONE, a SASL response. It
// never announces a literal.
func (s *CommandScanner) ExpectLine() { s.frame.expected = true }

// CancelLiteral says that the server refused the literal just announced: the command is over, and a new line follows.
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

// Next walks on through p, which continues where the last call stopped, and stops at the first event. It returns how
// many bytes it has passed; the rest is to be offered again.
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
	noBoundary:  CommandMore,
	lineEnd:     CommandEnd,
	textEnd:     CommandLine,
	literalSync: CommandSync,
	literalFree: CommandFree,
	literalEnd:  CommandLiteral,
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

// commandHead looks at the start of a line that is not blank. It answers CommandMore when more bytes are needed to
// tell.
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
		return CommandStray, head
	}
	verb, size, event := headVerb(p[tag:])
	if event == CommandBegin {
		head = CommandHead{Verb: verb, TagLen: tag, Len: tag + size}
	}
	return event, head
}

// headVerb reads the verb behind a tag. No server's idea of a blank may hide one that must be intercepted: such a verb
// ends at the first byte that is no letter, and one that may begin behind a control character or too many blanks makes
// the line stray.
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
		return VerbOther, 0, CommandStray
	}
	verb = lookupVerb(word, uid)
	if !endsWord(rest[0]) && !verb.Intercepted() {
		verb = VerbOther
	}
	return verb, len(p) - len(rest), CommandBegin
}
