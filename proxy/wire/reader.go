package wire

import (
	"bytes"
	"encoding/base64"
	"io"
)

// Limits of the sign-in phase, in bytes.
type Limits struct {
	Line    int // one line of a command, line end included
	Literal int // one literal
	Command int // a whole command, its literals included
	// SASL bounds one line of a SASL exchange, since tokens are long, and the arguments of AUTHENTICATE and ID: an
	// initial response is such a line, and ID may have 30 pairs of 1,024 bytes (RFC 2971 section 3.3).
	SASL int
}

// maxTag is the longest tag before sign-in, in bytes. The relay's MaxTag is shorter.
const maxTag = 1 << 10

// Reader reads a client's commands before sign-in. It is not safe for concurrent use.
type Reader struct {
	buf buffer
	lim Limits
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader, lim Limits) *Reader {
	return &Reader{buf: buffer{r: r}, lim: lim}
}

// Reset wipes all bytes that were read, and continues with another source: after STARTTLS no bytes that came in plain
// text may be used. After sign-in, Reset(nil) leaves no password in memory; copy Buffered before.
func (r *Reader) Reset(src io.Reader) { r.buf.reset(src) }

// Peek waits for the next byte and returns it without using it.
func (r *Reader) Peek() (byte, error) {
	r.buf.discard()
	if len(r.buf.data) == 0 {
		if err := r.buf.fill(); err != nil {
			return 0, err
		}
	}
	return r.buf.data[0], nil
}

// Buffered returns the bytes that were read and not used. They are valid until the next call.
func (r *Reader) Buffered() []byte { return r.buf.unused() }

// Used returns how many bytes were used so far.
func (r *Reader) Used() uint64 { return r.buf.past + uint64(r.buf.used) }

// Command is a client's command. Args is valid until the Reader's next call.
type Command struct {
	Tag  string
	Verb Verb
	Name string // the verb in upper case, of letters, digits and a few signs only, bounded
	Args Args
}

// Masked returns the command's name in lower case, and its arguments as far as they may be shown. Call it while Args is
// valid.
func (c *Command) Masked() (name string, shown Shown) {
	var m Mask
	m.Begin(CommandHead{Verb: c.Verb, TagLen: len(c.Tag)})
	m.Feed(c.Args.raw)
	return m.Name(c.Verb), *m.End()
}

// ReadCommand reads one whole command. Before each synchronising literal it calls proceed, if that is not nil, with the
// command as far as it was read. proceed must send the continuation request, or return an error that refuses the
// command. ReadCommand returns that error with the command's tag and verb. A client that waits for the continuation
// request sends no byte of a refused literal. If a client does not wait, the literal is read and dropped, so that it is
// not taken for a command. After a *SyntaxError the reader is behind the command, after a *LimitError it is not. Errors
// of the source pass unchanged; an end in the middle of a command is io.ErrUnexpectedEOF.
func (r *Reader) ReadCommand(proceed func(Command) error) (Command, error) {
	r.buf.discard()
	lim := bounds{line: r.lim.Line, literal: r.lim.Literal, total: r.lim.Command, what: "command"}
	line, err := r.buf.line(lim.line, "line")
	if r.takesLongArguments() {
		lim.line = r.lim.SASL + maxTag + maxName
		lim.total = lim.line
		if err != nil {
			line, err = r.buf.line(lim.line, "line")
		}
	}
	if err != nil {
		return Command{}, err
	}
	var refused error
	raw, err := r.buf.withLiterals(line, lim, func() error {
		if proceed != nil && refused == nil {
			head, _ := parseCommand(r.buf.data[:r.buf.used])
			refused = proceed(head)
		}
		if refused != nil && len(r.buf.unused()) == 0 {
			return refused
		}
		return nil
	})
	if refused != nil && (err == nil || err == refused) {
		head, _ := parseCommand(r.buf.data[:r.buf.used])
		return Command{Tag: head.Tag, Verb: head.Verb, Name: head.Name}, refused
	}
	if err != nil {
		return Command{}, err
	}
	return parseCommand(raw)
}

// takesLongArguments says whether Limits.SASL bounds the arguments of the command that is being read. Call it before
// any byte of the command is used.
func (r *Reader) takesLongArguments() bool {
	p := r.buf.data
	tag := span(p, charTag, maxTag)
	p = p[tag:]
	p = p[blanks(p):]
	word := span(p, charAlpha, maxWord)
	return tag > 0 && word < len(p) && endsWord(p[word]) &&
		(equalFold(p[:word], "AUTHENTICATE") || equalFold(p[:word], "ID"))
}

// maxName bounds Command.Name.
const maxName = 32

func parseCommand(raw []byte) (Command, error) {
	tag := span(raw, charTag, maxTag+1)
	switch {
	case tag == 0:
		return Command{}, &SyntaxError{Pos: 0, Reason: "no tag"}
	case tag > maxTag:
		return Command{}, &SyntaxError{Pos: maxTag, Reason: "tag too long"}
	}
	cmd := Command{Tag: string(raw[:tag])}
	if raw[tag] != ' ' {
		return cmd, &SyntaxError{Tag: cmd.Tag, Pos: tag, Reason: "no command after the tag"}
	}
	at := tag + blanks(raw[tag:])
	rest := raw[at:]
	word := span(rest, charAtom, maxName+1)
	if word == 0 || word > maxName || !endsWord(rest[word]) {
		return cmd, &SyntaxError{Tag: cmd.Tag, Pos: at, Reason: "no command after the tag"}
	}
	cmd.Name = string(bytes.ToUpper(rest[:word]))
	cmd.Verb = lookupVerb(rest[:word], false)
	cmd.Args = Args{raw: raw, pos: at + word}
	return cmd, nil
}

// ReadSASL reads one client line of a SASL exchange and decodes it. It returns ErrCancelled for "*", and ErrBase64 for
// a line that is not base64. After both the reader is behind the line.
func (r *Reader) ReadSASL() ([]byte, error) {
	r.buf.discard()
	line, err := r.buf.line(r.lim.SASL, "SASL response")
	if err != nil {
		return nil, err
	}
	text := bytes.ReplaceAll(trimLine(line), []byte(" "), nil) // servers skip blanks in base64
	defer clear(text)
	if string(text) == "*" {
		return nil, ErrCancelled
	}
	return decodeBase64(text)
}

// DecodeInitialResponse decodes the initial response of AUTHENTICATE, where "=" stands for an empty one (RFC 4959).
func DecodeInitialResponse(arg string) ([]byte, error) {
	if arg == "=" {
		return []byte{}, nil
	}
	return decodeBase64([]byte(arg))
}

func decodeBase64(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") { // the decoder would skip them
		return nil, ErrBase64
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(out, text)
	if err != nil {
		clear(out)
		return nil, ErrBase64
	}
	return out[:n], nil
}

// trimLine takes the line end off.
func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
