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
	SASL    int // one line of a SASL exchange: tokens are long
}

// Reader reads a client's commands before sign-in. It is not safe for concurrent use.
type Reader struct {
	buf buffer
	lim Limits
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader, lim Limits) *Reader {
	return &Reader{buf: buffer{r: r}, lim: lim}
}

// Reset drops all that was read, wiping it, and goes on with another source: after STARTTLS nothing that came in plain text may
// be used. After sign-in Reset(nil) leaves no password behind; what was Buffered has to be copied before.
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

// Buffered returns what was read and not used, valid until the next call.
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

// Masked returns the command's name in lower case and what may be shown of its arguments. It is as valid as Args is.
func (c *Command) Masked() (name string, shown Shown) {
	var m Mask
	m.Begin(CommandHead{Verb: c.Verb, TagLen: len(c.Tag)})
	m.Feed(c.Args.raw)
	return m.Name(c.Verb), *m.End()
}

// ReadCommand reads one whole command. Before each synchronising literal it calls proceed, which has to send the continuation
// request. A *SyntaxError leaves the reader behind the command, a *LimitError does not; errors of the source pass unchanged,
// an end in mid-command as io.ErrUnexpectedEOF.
func (r *Reader) ReadCommand(proceed func() error) (Command, error) {
	r.buf.discard()
	line, err := r.buf.line(r.lim.Line, "line")
	if err != nil {
		return Command{}, err
	}
	lim := bounds{line: r.lim.Line, literal: r.lim.Literal, total: r.lim.Command, what: "command"}
	raw, err := r.buf.withLiterals(line, lim, proceed)
	if err != nil {
		return Command{}, err
	}
	return parseCommand(raw)
}

// maxName bounds Command.Name.
const maxName = 32

func parseCommand(raw []byte) (Command, error) {
	tag := span(raw, charTag, MaxTag+1)
	switch {
	case tag == 0:
		return Command{}, &SyntaxError{Pos: 0, Reason: "no tag"}
	case tag > MaxTag:
		return Command{}, &SyntaxError{Pos: MaxTag, Reason: "tag too long"}
	}
	cmd := Command{Tag: string(raw[:tag])}
	if raw[tag] != ' ' {
		return cmd, &SyntaxError{Tag: cmd.Tag, Pos: tag, Reason: "no command behind the tag"}
	}
	rest := raw[tag+1:]
	word := span(rest, charAtom, maxName+1)
	if word == 0 || word > maxName || !endsWord(rest[word]) {
		return cmd, &SyntaxError{Tag: cmd.Tag, Pos: tag + 1, Reason: "no command behind the tag"}
	}
	cmd.Name = string(bytes.ToUpper(rest[:word]))
	cmd.Verb = lookupVerb(rest[:word], false)
	cmd.Args = Args{raw: raw, pos: tag + 1 + word}
	return cmd, nil
}

// ReadSASL reads one client line of a SASL exchange and decodes it. "*" is ErrCancelled; a line that is no base64 is
// ErrBase64, after which the reader stands behind it.
func (r *Reader) ReadSASL() ([]byte, error) {
	r.buf.discard()
	line, err := r.buf.line(r.lim.SASL, "SASL response")
	if err != nil {
		return nil, err
	}
	text := trimLine(line)
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
	if bytes.ContainsAny(text, "\r\n") { // the decoder would pass over them
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
