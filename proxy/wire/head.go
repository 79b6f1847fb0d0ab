package wire

// head is what the first bytes of a response tell, continuation requests apart.
type head struct {
	tag    int    // the tag's length; 0 in an untagged response
	status Status // StatusNone in data
	list   int    // where the names of a capability list begin; 0 without one
}

// answer is no, yes, or that more bytes are needed.
type answer uint8

const (
	no answer = iota
	yes
	unknown
)

const capabilityWord = "CAPABILITY"

// readHead reads the head of the response that p begins with. It answers no when p is no such response.
func readHead(p []byte) (h head, ok answer) {
	prefix := span(p, charTag, MaxTag+1)
	h.tag = prefix
	if len(p) > 0 && p[0] == '*' {
		prefix = len("*")
	}
	switch {
	case prefix == 0, prefix > MaxTag:
		return h, no
	case prefix == len(p):
		return h, unknown
	case p[prefix] != ' ':
		return h, no
	}
	word, rest := nextWord(p[prefix+1:])
	if len(rest) == 0 {
		return h, unknown
	}
	if endsWord(rest[0]) {
		h.status = statusOf(word)
	}
	switch {
	case h.tag > 0 && !h.status.endsCommand():
		return h, no
	case h.status != StatusNone:
		return h, h.readCode(p, rest)
	case endsWord(rest[0]) && equalFold(word, capabilityWord):
		h.list = len(p) - len(rest)
	}
	return h, yes
}

// readCode looks for a capability list in the response code of p, of which rest stands behind the status.
func (h *head) readCode(p, rest []byte) answer {
	rest = rest[blanks(rest):]
	if len(rest) == 0 {
		return unknown
	}
	if rest[0] != '[' {
		return yes
	}
	word, rest := nextWord(rest[1:])
	if len(rest) == 0 {
		return unknown
	}
	if rest[0] == ' ' && equalFold(word, capabilityWord) {
		h.list = len(p) - len(rest)
	}
	return yes
}
