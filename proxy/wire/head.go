package wire

// head is what the first bytes of a response say. Continuation requests have none.
type head struct {
	blank  int    // blanks and TABs in front, which no server should send
	tag    int    // the tag's length; 0 in an untagged response
	status Status // StatusNone in data
	list   int    // where the names of a capability list begin; 0 without one
}

// answer is no, yes, or unknown: more bytes are needed.
type answer uint8

const (
	no answer = iota
	yes
	unknown
)

const capabilityWord = "CAPABILITY"

// readHead reads the head of the response that p begins with. It returns no if p begins with no response. A tagged BYE
// is a response.
func readHead(p []byte) (h head, ok answer) {
	line := p
	if len(p) > 0 && p[0] <= ' ' {
		h.blank = leadingBlanks(p)
		p = p[h.blank:]
	}
	prefix := span(p, charTag, MaxTag+1)
	h.tag = prefix
	if len(p) > 0 && p[0] == '*' {
		prefix = len("*")
	}
	switch {
	case len(p) == 0:
		return h, unknown
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
	case h.tag > 0 && !h.status.endsCommand() && h.status != StatusBYE:
		return h, no
	case h.status != StatusNone:
		if next := rest[blanks(rest):]; len(next) > 0 && next[0] != '[' {
			return h, yes
		}
		return h, h.readCode(line, rest)
	case endsWord(rest[0]) && equalFold(word, capabilityWord):
		h.list = len(line) - len(rest)
	}
	return h, yes
}

// leadingBlanks counts the blanks and TABs that p begins with, bounded.
func leadingBlanks(p []byte) (n int) {
	for n < len(p) && n < maxBlanks && (p[n] == ' ' || p[n] == '\t') {
		n++
	}
	return n
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
