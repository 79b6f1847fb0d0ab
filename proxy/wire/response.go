package wire

import (
	"io"
	"strings"
)

// ResponseKind is the kind of a response (RFC 9051 section 7).
type ResponseKind uint8

// The kinds.
const (
	Untagged ResponseKind = iota
	Continuation
	Tagged
)

// Response is one response of a server, as far as sign-in needs to understand it.
type Response struct {
	Raw     []byte // as it came, literals and line end included; valid until the next ReadResponse
	Kind    ResponseKind
	Tag     string // of a tagged response
	Status  Status // StatusNone for data
	Name    string // of data such as "* CAPABILITY ...", in upper case
	Code    string // response code, in upper case, without its arguments
	CodeArg string // its arguments
	Text    string // what follows
}

// ListsCapabilities says whether the response carries a capability list.
func (r *Response) ListsCapabilities() bool { return r.Name == "CAPABILITY" || r.Code == "CAPABILITY" }

// Capabilities returns the capability list that the response carries, and whether it carries one.
func (r *Response) Capabilities() (Capabilities, bool) {
	switch {
	case r.Name == "CAPABILITY":
		return ParseCapabilities(r.Text), true
	case r.Code == "CAPABILITY":
		return ParseCapabilities(r.CodeArg), true
	}
	return nil, false
}

// ResponseReader reads a server's responses up to the end of sign-in. It is not safe for concurrent use.
type ResponseReader struct {
	buf   buffer
	limit int
}

// NewResponseReader returns a reader of r; limit bounds one response, its literals included, in bytes.
func NewResponseReader(r io.Reader, limit int) *ResponseReader {
	return &ResponseReader{buf: buffer{r: r}, limit: limit}
}

// Buffered returns the bytes that were read and not used. They are valid until the next call.
func (r *ResponseReader) Buffered() []byte { return r.buf.unused() }

// Reset drops all bytes that were read, and continues with another source.
func (r *ResponseReader) Reset(src io.Reader) { r.buf.reset(src) }

// ReadResponse reads one response. Its errors are those of Reader.ReadCommand.
func (r *ResponseReader) ReadResponse() (Response, error) {
	r.buf.discard()
	line, err := r.buf.line(r.limit, "response")
	if err != nil {
		return Response{}, err
	}
	resp, err := parseResponse(line)
	if err != nil || resp.Kind != Untagged || resp.Status != StatusNone {
		return resp, err
	}
	lim := bounds{line: r.limit, literal: r.limit, total: r.limit, what: "response"}
	if resp.Raw, err = r.buf.withLiterals(line, lim, nil); err != nil {
		r.buf.used = 0 // after a time-out the next call reads it again
		return Response{}, err
	}
	return resp, nil
}

func parseResponse(raw []byte) (Response, error) {
	resp := Response{Raw: raw}
	text := string(trimLine(raw)) // the fields are parts of it
	switch {
	case strings.HasPrefix(text, "+"):
		resp.Kind = Continuation
		resp.Text = strings.TrimPrefix(text[1:], " ")
		return resp, nil
	case strings.HasPrefix(text, "* "):
		text = text[2:]
	default:
		tag := span(raw[:len(text)], charTag, MaxTag)
		if tag == 0 || tag == len(text) || text[tag] != ' ' {
			return resp, &SyntaxError{Reason: "not an IMAP response"}
		}
		resp.Kind, resp.Tag = Tagged, text[:tag]
		text = text[tag+1:]
	}
	word, rest, _ := strings.Cut(text, " ")
	resp.Status = statusOf(word)
	if resp.Kind == Tagged && !resp.Status.endsCommand() {
		return resp, &SyntaxError{Tag: resp.Tag, Pos: len(resp.Tag) + 1, Reason: "not an IMAP response"}
	}
	if resp.Status == StatusNone {
		resp.Name, resp.Text = strings.ToUpper(word), rest
		return resp, nil
	}
	resp.Code, resp.CodeArg, resp.Text = parseCode(rest)
	return resp, nil
}

// parseCode splits the text of a status response into its response code and the rest.
func parseCode(rest string) (code, arg, text string) {
	rest = strings.TrimLeft(rest, " ")
	if !strings.HasPrefix(rest, "[") {
		return "", "", rest
	}
	inside, after, ok := strings.Cut(rest[1:], "]")
	if !ok {
		return "", "", rest
	}
	code, arg, _ = strings.Cut(strings.Trim(inside, " "), " ")
	return strings.ToUpper(code), arg, strings.TrimLeft(after, " ")
}
