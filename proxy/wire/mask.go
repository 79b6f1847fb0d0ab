package wire

import "strconv"

// Mask takes a client's command in pieces of any size, and keeps what may be shown of it. It shows the keywords of IMAP
// in their own spelling. It shows numbers, dates and names of mailboxes where the command has a place for them (see
// shows). Of everything else it shows only the size, as IMAP writes a literal's: {5}. Call Begin first. It is not safe
// for concurrent use.
type Mask struct {
	shown  Shown
	frame  frame
	policy shows
	name   string // of a VerbOther that is known all the same

	state  maskState
	tag    uint8 // bytes of the tag still to come
	uid    bool  // the verb's second word is still to come
	depth  int8  // of parentheses
	names  uint8 // how many may still be shown
	hide   uint8 // how many of the next tokens are the text of a search key
	doubt  bool  // the last token was not shown: numbers behind it may belong to it
	value  idValue
	began  bool // there was a token
	hidden bool // something was not shown
	cut    bool // there was no room for more

	escaped bool // the byte before, in a quoted string, was a backslash
	size    int  // of the token so far, or of all arguments of which nothing is shown, in bytes
	one     [1]byte
	token   [maxToken]byte
}

// maxToken is how many bytes of a token are examined, and shown.
const maxToken = 64

// idValue is the kind of ID's next string.
type idValue uint8

const (
	valueNone   idValue = iota // a name
	valueShown                 // the value of a name whose values are shown
	valueHidden                // that of another
)

// maskPlace is a Mask's place in the command.
type maskState uint8

const (
	maskTag maskState = iota
	maskVerb
	maskBetween // tokens
	maskAtom
	maskQuoted
	maskMarker // in "{12}", or what looks like it
	maskSizes  // in arguments of which nothing is shown
	maskDone   // behind the command's line
)

// Begin starts with the command that has this head.
func (m *Mask) Begin(head CommandHead) {
	*m = Mask{tag: uint8(min(head.TagLen, MaxTag)), policy: policies[head.Verb], uid: isUID(head.Verb),
		frame: frame{state: inLine}}
}

// Name returns the command's name in lower case, or "other" for an unknown command.
func (m *Mask) Name(v Verb) string {
	if m.name != "" {
		return m.name
	}
	return v.Lower()
}

// End ends the command, and returns what may be shown.
func (m *Mask) End() *Shown {
	if m.state != maskDone {
		m.lineEnds()
	}
	return &m.shown
}

// ShownAll says whether all arguments are shown. Then no answer of the server can reveal more.
func (m *Mask) ShownAll() bool { return !m.hidden && !m.cut }

// Feed takes the next piece, which begins where the last one ended.
func (m *Mask) Feed(p []byte) {
	for len(p) > 0 && m.state != maskDone {
		inside := m.frame.state == inLiteral
		n, b := m.frame.pass(p)
		switch {
		case !inside:
			m.line(p[:n])
		case m.state == maskSizes:
			m.size += n
		}
		switch b {
		case lineEnd:
			m.lineEnds()
		case literalSync, literalNonSync:
			m.literal()
		}
		p = p[n:]
	}
}

// line takes a piece of a line.
func (m *Mask) line(p []byte) {
	if m.state == maskTag {
		n := min(int(m.tag), len(p))
		p = p[n:]
		if m.tag -= uint8(n); m.tag > 0 {
			return
		}
		m.state = maskVerb
	}
	for i := 0; i < len(p) && !m.cut && m.state != maskDone; i++ {
		c := p[i]
		switch {
		case m.state == maskVerb:
			m.verb(c)
		case isLineEnd(c):
		case m.state == maskSizes:
			m.size++
		default:
			m.argument(c)
			if m.state == maskAtom {
				i += m.atom(p[i+1:])
			}
		}
	}
}

// atom takes all bytes at the start of p that certainly belong to the atom.
func (m *Mask) atom(p []byte) int {
	n := 0
	for n < len(p) && charClass[p[n]]&charPlain != 0 {
		n++
	}
	if m.size < maxToken {
		copy(m.token[m.size:], p[:n])
	}
	m.size += n
	return n
}

// verb reads the verb. The head says what it means, except for rare verbs.
func (m *Mask) verb(c byte) {
	switch {
	case charClass[c]&charAlpha != 0:
		m.collect(upperCase(c))
		return
	case m.size == 0: // a blank in front
		return
	}
	if m.policy.rare && m.size <= maxToken && endsWord(c) {
		if known, ok := rareVerbs[string(m.token[:m.size])]; ok {
			m.policy, m.name = known.shows, known.name
		}
	}
	m.size = 0
	if m.uid {
		m.uid = false
		return
	}
	m.names = m.policy.names
	m.state = maskBetween
	if m.policy.sizes {
		m.state = maskSizes
		if !endsWord(c) {
			m.size++
		}
	}
}

// argument takes a byte of the arguments.
func (m *Mask) argument(c byte) {
	switch m.state {
	case maskQuoted:
		if c == '"' && !m.escaped {
			m.endToken()
			return
		}
		m.escaped = c == '\\' && !m.escaped
		m.collect(c)
		return
	case maskAtom, maskMarker:
		if !m.separates(c) {
			m.collect(c)
			return
		}
		if m.endToken(); m.state == maskDone {
			return
		}
	}
	switch {
	case c == '"':
		m.state = maskQuoted
	case c == '{', c == '~':
		m.state = maskMarker
		m.collect(c)
	case m.separates(c):
		m.separate(c)
	default:
		m.state = maskAtom
		m.collect(c)
	}
}

// collect adds a byte to the token.
func (m *Mask) collect(c byte) {
	if m.size < maxToken {
		m.token[m.size] = c
	}
	m.size++
}

// separates says whether a byte ends an atom. The name of a mailbox may have brackets in it.
func (m *Mask) separates(c byte) bool {
	switch c {
	case ' ', '(', ')':
		return true
	case '[', ']', '<', '>':
		return m.names == 0 || m.depth > 0
	}
	return false
}

func (m *Mask) separate(c byte) {
	switch c {
	case '(':
		m.depth = min(m.depth+1, 100)
	case ')', '<':
		if c == ')' {
			m.depth = max(m.depth-1, 0)
		}
		m.doubt = m.doubt && m.policy.search
	case ' ':
		if m.shown.n == 0 {
			return
		}
	}
	m.one[0] = c
	m.put(m.one[:])
}

// put adds to the shown text, or ends it if there is no more room.
func (m *Mask) put(p []byte) {
	const more = "..."
	if !m.cut && !m.shown.add(p, maxShown-len(more)) {
		m.cut = true
		m.shown.n += uint8(copy(m.shown.text[m.shown.n:], more))
	}
}

// putSize shows a size in place of a text.
func (m *Mask) putSize(n int64) {
	m.hidden = true
	var room [24]byte
	m.put(append(strconv.AppendInt(append(room[:0], '{'), n, 10), '}'))
}

// literal records that a literal follows. Only its marker may be shown.
func (m *Mask) literal() {
	if m.state == maskSizes {
		return
	}
	if m.state == maskAtom || m.state == maskQuoted {
		m.endToken()
	}
	m.state, m.size, m.began = maskBetween, 0, true
	if m.names > 0 && m.depth == 0 {
		m.names--
	}
	if m.policy.pairs {
		m.pair(maskMarker, nil, m.frame.size)
		return
	}
	m.putSize(m.frame.size)
	m.doubt = m.hide == 0
	m.hide = max(m.hide, 1) - 1
}

// lineEnds takes the end of the command.
func (m *Mask) lineEnds() {
	switch m.state {
	case maskBetween:
	case maskSizes:
		if m.size > 0 {
			m.putSize(int64(m.size))
		}
	case maskAtom, maskQuoted, maskMarker:
		m.endToken()
	}
	for m.shown.n > 0 && m.shown.text[m.shown.n-1] == ' ' {
		m.shown.n--
	}
	m.state = maskDone
}

// endToken shows the token that ends here, or its size.
func (m *Mask) endToken() {
	state, size, text, first := m.state, m.size, m.token[:min(m.size, maxToken)], !m.began
	m.state, m.size, m.began = maskBetween, 0, true
	known := keyword{}
	if state == maskAtom && size <= maxToken {
		known = m.policy.keyword(text, first)
	}
	switch {
	case m.hide > 0:
		m.hide--
		m.putSize(int64(size))
	case m.policy.mechanism: // behind it may be a secret whose size is one
		if m.put([]byte(known.name)); known.name == "" {
			m.putSize(int64(size))
		}
		m.hidden, m.state = true, maskDone
	case m.policy.pairs:
		m.pair(state, text, int64(size))
	case state == maskMarker:
		m.hideToken(size)
	case m.names > 0 && m.depth == 0 && !(first && m.policy.sequence):
		m.names--
		m.putString(state, text, size)
	case known.name != "":
		m.put([]byte(known.name))
		m.doubt = false
		if m.policy.search {
			m.hide = known.texts
		}
	case m.policy.numbers && !m.doubt && (state == maskAtom && isSet(text) || size <= maxToken && isDate(text)):
		m.putString(state, text, size)
	default:
		m.hideToken(size)
	}
}

// hideToken shows a token's size. Numbers after it may belong to it.
func (m *Mask) hideToken(size int) {
	m.putSize(int64(size))
	m.doubt = true
}

// putString shows a token as the client has written it, up to maxToken.
func (m *Mask) putString(state maskState, text []byte, size int) {
	quote := []byte(nil)
	if state == maskQuoted {
		quote = []byte{'"'}
	}
	m.put(quote)
	m.put(text)
	if size > len(text) {
		m.hidden = true
		m.put([]byte("..."))
	}
	m.put(quote)
}

// pair shows one of ID's names or values.
func (m *Mask) pair(state maskState, text []byte, size int64) {
	switch m.value {
	case valueNone:
		m.value = valueHidden
		if state == maskQuoted && idNames[string(text)] {
			m.value = valueShown
			m.putString(state, text, int(size))
			return
		}
	case valueShown:
		m.value = valueNone
		if state != maskMarker {
			m.putString(state, text, int(size))
			return
		}
	case valueHidden:
		m.value = valueNone
	}
	m.putSize(size)
}

// isSet says whether a token may be a sequence set or a number.
func isSet(text []byte) bool {
	for _, c := range text {
		if charClass[c]&charDigit == 0 && c != ':' && c != ',' && c != '*' && c != '.' && c != '$' {
			return false
		}
	}
	return true
}

// isDate says whether a token is a date, with or without a time: 1-Feb-2024, 01-Feb-2024 10:00:00 +0100.
func isDate(text []byte) bool {
	day := text[blanks(text):]
	digits := span(day, charDigit, 2)
	if digits == 0 || len(day) < digits+len("-Jan-2000") || day[digits] != '-' || day[digits+4] != '-' {
		return false
	}
	if !months[string(day[digits+1:digits+4])] {
		return false
	}
	for _, c := range day[digits+5:] {
		if charClass[c]&charDigit == 0 && c != ' ' && c != ':' && c != '+' && c != '-' {
			return false
		}
	}
	return true
}
