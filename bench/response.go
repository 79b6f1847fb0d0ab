package bench

import (
	"bytes"
)

// responseKind is the kind of a response, by its first character.
type responseKind uint8

const (
	untagged responseKind = iota
	continuation
	tagged
)

// status is the condition in a status response.
type status uint8

const (
	statusNone status = iota
	statusOK
	statusNO
	statusBAD
	statusBYE
	statusPREAUTH
)

func statusOf(word []byte) status {
	switch len(word) {
	case 2:
		if bytes.EqualFold(word, []byte("OK")) {
			return statusOK
		}
		if bytes.EqualFold(word, []byte("NO")) {
			return statusNO
		}
	case 3:
		if bytes.EqualFold(word, []byte("BAD")) {
			return statusBAD
		}
		if bytes.EqualFold(word, []byte("BYE")) {
			return statusBYE
		}
	case 7:
		if bytes.EqualFold(word, []byte("PREAUTH")) {
			return statusPREAUTH
		}
	}
	return statusNone
}

// response is one response. Its slices belong to the reader.
type response struct {
	kind     responseKind
	tag      []byte
	status   status
	code     []byte // in the brackets behind the status
	hasNum   bool
	num      uint64 // of "* 12 EXISTS"
	name     []byte // of untagged data, or the status' word
	args     []byte // the rest
	literals []literal
	data     data        // of untagged data, once its form was checked
	fetched  fetched     // of FETCH, likewise
	hidden   *credential // not shown in errors; may be nil
}

// quote returns a part of the response for an error.
func (r *response) quote(text []byte) string {
	if r.hidden == nil {
		return credential{}.quote(text)
	}
	return r.hidden.quote(text)
}

// parse reads a response's text.
func (r *response) parse(line []byte) error {
	*r = response{literals: r.literals, hidden: r.hidden}
	first, rest, _ := bytes.Cut(line, []byte{' '})
	switch {
	case len(first) == 0:
		return protocolError("an empty response: %s", r.quote(line))
	case len(first) == 1 && first[0] == '+':
		r.kind, r.args = continuation, rest
		return nil
	case len(first) == 1 && first[0] == '*':
		r.kind = untagged
	default:
		r.kind, r.tag = tagged, first
	}
	r.name, r.args, _ = bytes.Cut(rest, []byte{' '})
	if r.status = statusOf(r.name); r.status != statusNone {
		r.cutCode()
		return nil
	}
	if r.kind == tagged {
		return protocolError("neither data nor an answer: %s", r.quote(line))
	}
	if r.num, r.hasNum = number(r.name); r.hasNum {
		r.name, r.args, _ = bytes.Cut(r.args, []byte{' '})
	}
	if len(r.name) == 0 {
		return protocolError("data without a name: %s", r.quote(line))
	}
	return nil
}

// cutCode removes the response code from the text.
func (r *response) cutCode() {
	if len(r.args) == 0 || r.args[0] != '[' {
		return
	}
	if end := bytes.IndexByte(r.args, ']'); end > 0 {
		r.code, r.args = r.args[1:end], bytes.TrimPrefix(r.args[end+1:], []byte{' '})
	}
}

// is reports whether the response is data of the name.
func (r *response) is(name string) bool {
	return r.kind == untagged && bytes.EqualFold(r.name, []byte(name))
}

// codeIs returns the rest of the response code of the name.
func (r *response) codeIs(name string) (rest []byte, ok bool) {
	word, rest, _ := bytes.Cut(r.code, []byte{' '})
	return rest, bytes.EqualFold(word, []byte(name))
}
