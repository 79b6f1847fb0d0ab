package wire

import "math"

// LiteralGrammar follows the text of a command, in pieces of any size. It decides whether the grammar of the verb
// allows a literal where one is announced. If servers might read the command in different ways, it says that there is
// none. Call Begin first. It is not safe for concurrent use.
type LiteralGrammar struct {
	verb        Verb
	rule        literalRule
	state       grammarState
	step        appendStep // of APPEND; for other verbs: the number of complete arguments
	depth       uint8      // of parentheses
	skip        uint8      // bytes of the head still to come
	textsDue    uint8      // search keys: how many strings have to follow; CATENATE: how many parts there are
	wordDue     bool       // search keys: a word that is no key has to follow
	hasMessage  bool       // APPEND has a message already
	inParts     bool       // APPEND has a message in parts (CATENATE)
	doubt       bool       // servers may disagree about later literals
	unanswered  bool       // some servers neither ask for later literals nor refuse them
	inbox       bool       // the mailbox is INBOX, or none
	listDue     bool       // after RETURN: its list has to follow
	inBrackets  bool       // in the brackets of BODY[]
	inFieldList bool       // in a list there
	known       bool       // see Known
	odd         bool       // servers may not agree about the command's head
	binary      bool       // the marker has a tilde
	size        uint8      // bytes of the token so far; MaxUint8 if more
	text        uint16     // bytes of the command so far, messages left out
	count       int64      // what the marker says
	token       [maxGrammarToken]byte
}

const (
	maxGrammarToken = 32       // a date; longer words have no meaning here
	maxGrammarText  = 16 << 10 // some server refuses longer commands
	maxGrammarDepth = 16
	maxMessage      = math.MaxInt32
)

// grammarState is a LiteralGrammar's place in its line.
type grammarState uint8

const (
	grammarStart  grammarState = iota // a token has to begin
	grammarOpen                       // a token has to begin, or the empty list to end
	grammarAtom                       // in an atom
	grammarQuoted                     // in a quoted string
	grammarEscape                     // behind a backslash there
	grammarEnd                        // behind a token
	grammarDigits                     // in a marker: its number
	grammarPlus                       // behind its "+"
	grammarBrace                      // behind its "}"
	grammarCR                         // behind its CR
	grammarMarker                     // behind its LF
	grammarLost                       // unknown for the rest of the command
)

// appendStep is how far APPEND has come.
type appendStep = uint8

const (
	appendMailbox appendStep = iota
	appendNext               // a message may begin: flags, date, literal or CATENATE
	appendFlags
	appendDate    // behind the flags
	appendMessage // behind the date
	appendCatenate
	appendPart
	appendText
	appendURL
	appendDone // behind a message
	appendSet  // REPLACE: in front of the mailbox
)

// Begin starts with the command that text begins with. head is its head.
func (p *LiteralGrammar) Begin(head CommandHead, text []byte) {
	*p = LiteralGrammar{verb: head.Verb, known: head.Verb != VerbOther,
		skip: uint8(min(head.Len+len(" "), math.MaxUint8)), state: grammarLost}
	p.odd = !plainHead(head, text)
	switch {
	case p.odd:
		return
	case p.known:
		p.rule = literalRules[p.verb]
	default:
		word := text[head.TagLen+len(" ") : head.Len]
		if p.rule, p.known = extensionRule(word); p.rule.replaces { // not if the server finds no such message
			p.verb, p.step, p.doubt = VerbAppend, appendSet, true
		}
	}
	if p.verb == VerbAppend || p.rule.to > 0 || p.rule.search || p.rule.lists != listsOfNone {
		p.state = grammarStart
	}
}

// plainHead says whether all servers read a command's head in the same way: a tag that all accept, one blank, the verb,
// one blank.
func plainHead(head CommandHead, text []byte) bool {
	return head.TagLen > 0 && span(text, charPlainTag, head.TagLen) == head.TagLen && plainVerb(text[head.TagLen:])
}

// plainVerb says whether p begins with a blank, a verb of one word, or UID and another, and a blank.
func plainVerb(p []byte) bool {
	for words := 1; ; words++ {
		n := span(p[min(1, len(p)):], charAlpha, maxWord)
		if n == 0 || p[0] != ' ' || n == maxWord || 1+n == len(p) || p[1+n] != ' ' {
			return false
		}
		if words == 2 || !equalFold(p[1:1+n], "UID") {
			return true
		}
		p = p[1+n:]
	}
}

// MayAsk says whether the "+" after a synchronising literal's marker allows that literal. It does if the verb takes
// arguments, and has no "+" for another purpose.
func (p *LiteralGrammar) MayAsk() bool {
	switch p.verb {
	case VerbNoop, VerbCheck, VerbClose, VerbExpunge, VerbUnselect, VerbLogout, VerbCapability, VerbNamespace,
		VerbIdle, VerbAuthenticate,
		VerbCompress, VerbStartTLS, VerbUnauthenticate:
		return false
	case VerbOther:
		return !p.odd
	}
	return true
}

// Known says whether it is known when servers send "+" for the verb.
func (p *LiteralGrammar) Known() bool { return p.known }

// Feed takes the next piece of the command's lines, without the bytes of literals.
func (p *LiteralGrammar) Feed(text []byte) {
	skip := min(int(p.skip), len(text))
	p.skip -= uint8(skip)
	for _, c := range text[skip:] {
		if p.state == grammarLost {
			return
		}
		if p.text++; p.text > maxGrammarText {
			p.state = grammarLost
			return
		}
		p.state = p.nextState(c)
	}
}

// Certainty says how servers read a non-synchronising literal's marker.
type Certainty uint8

const (
	// Doubtful: some servers may take the literal for commands. If the marker is made synchronising, their answer shows
	// how they read it.
	Doubtful Certainty = iota
	// Certain: for all servers it announces a literal.
	Certain
	// Unanswered: as Doubtful, but some servers do not answer a synchronising marker.
	Unanswered
)

// Literal takes the literal whose marker was fed last. It returns Certain if the grammar allows one of that size there,
// for a server with these extensions.
func (p *LiteralGrammar) Literal(e Extensions) Certainty {
	certainty := Certain
	switch {
	case p.state != grammarMarker:
		p.state = grammarLost
		return p.uncertainty()
	case p.verb == VerbAppend && p.messageHere(e):
		p.text = 0
	case p.textHere(e):
		p.text += uint16(p.count)
	default:
		p.unanswered = p.verb == VerbAppend && (p.step == appendFlags || p.step == appendCatenate)
		p.state = grammarLost
		return p.uncertainty()
	}
	if p.doubt {
		certainty = Doubtful
	}
	if p.state = grammarEnd; !p.endToken(kindLiteral) {
		p.state = grammarLost
	}
	return certainty
}

// uncertainty says how servers read a marker where the grammar has no literal.
func (p *LiteralGrammar) uncertainty() Certainty {
	if p.unanswered {
		return Unanswered
	}
	return Doubtful
}

// textHere says whether the command may have a literal here as an argument, or as a part of one.
func (p *LiteralGrammar) textHere(e Extensions) bool {
	r := &p.rule
	switch {
	case p.binary, p.count > MaxLiteralMinus, r.needs != 0 && e&r.needs == 0:
		return false
	case p.verb == VerbAppend:
		return p.step == appendMailbox || p.step == appendURL && e&Catenate != 0
	case p.depth > 0 && !r.search:
		return p.listHere()
	}
	return p.textsDue > 0 || p.depth == 0 && p.step >= r.from && p.step < r.to
}

// listHere says whether any element of the list that the command has here may be a literal.
func (p *LiteralGrammar) listHere() bool {
	switch p.rule.lists {
	case listsOfAll:
		return true
	case listsOfInbox:
		return p.inbox
	case listsOfNames:
		return p.step == 1
	case listsOfFields:
		return p.inFieldList
	}
	return false
}

// messageHere says whether APPEND may have a message here, or a part of one.
func (p *LiteralGrammar) messageHere(e Extensions) bool {
	if p.count == 0 || p.count > maxMessage || p.binary && e&Binary == 0 || p.hasMessage && e&MultiAppend == 0 ||
		p.inParts && e&Catenate == 0 {
		return false
	}
	switch p.step {
	case appendNext, appendDate, appendMessage, appendDone, appendText:
		return true
	}
	return false
}

// nextState takes a byte and returns the state after it.
func (p *LiteralGrammar) nextState(c byte) grammarState {
	switch p.state {
	case grammarStart, grammarOpen:
		return p.beginToken(c)
	case grammarAtom:
		if charClass[c]&(charAtom|charTag) != 0 || c == '*' || c == '%' || c == '\\' { // "1:*", LIST, Public\x
			p.addToToken(c)
			p.inBrackets = p.rule.lists == listsOfFields && (c == '[' || p.inBrackets && c != ']')
			return grammarAtom
		}
		return p.stepAfterToken(c, kindAtom)
	case grammarQuoted, grammarEscape:
		return p.stepQuoted(c)
	case grammarEnd:
		return p.stepAfterToken(c, kindNone)
	}
	return p.stepMarker(c)
}

// beginToken takes the first byte of a token.
func (p *LiteralGrammar) beginToken(c byte) grammarState {
	p.size = 0
	switch {
	case c == ' ':
		return p.state
	case c == '(' && p.openList():
		p.depth++
		return grammarOpen
	case c == ')' && p.depth > 0:
		return p.stepAfterToken(c, kindNone)
	case c == '"':
		return grammarQuoted
	case c == '{' || c == '~':
		p.binary, p.count = c == '~', -1
		return grammarDigits
	case charClass[c]&charAtom != 0, c == '*' || c == '%' || c == '\\':
		p.addToToken(c)
		return grammarAtom
	}
	return grammarLost
}

func (p *LiteralGrammar) stepQuoted(c byte) grammarState {
	switch {
	case c < ' ' || c == 0x7f:
		return grammarLost
	case p.state == grammarQuoted && c == '\\':
		return grammarEscape
	case p.state == grammarQuoted && c == '"':
		if !p.endToken(kindQuoted) {
			return grammarLost
		}
		return grammarEnd
	}
	p.addToToken(c)
	return grammarQuoted
}

// stepAfterToken takes the byte that follows a token. The kind is kindNone if endToken was called for it already.
func (p *LiteralGrammar) stepAfterToken(c byte, k tokenKind) grammarState {
	closes := c == ')' && p.depth > 0
	switch {
	case k != kindNone && c != ' ' && !closes, k != kindNone && !p.endToken(k):
		return grammarLost
	case c == ' ':
		return grammarStart
	case closes:
		p.depth--
		if !p.closeList() {
			return grammarLost
		}
		return grammarEnd
	case c == ']' && p.inBrackets: // BODY[HEADER.FIELDS (...)]
		p.inBrackets = false
		return grammarAtom
	}
	p.unanswered = p.verb == VerbAppend && p.depth == 0 && p.step != appendNext
	return grammarLost // the command's end too
}

// stepMarker takes a byte of a literal's marker. The server may get the marker without its "+".
func (p *LiteralGrammar) stepMarker(c byte) grammarState {
	switch {
	case p.state == grammarDigits && c == '{' && p.binary && p.count == -1 && p.size == 0:
		p.size = 1
		return grammarDigits
	case p.state == grammarDigits && p.binary && p.size == 0 && (charClass[c]&charAtom != 0 || c == ' ' || c == ')'):
		// an atom: ~/x
		p.addToToken('~')
		p.state = grammarAtom
		return p.nextState(c)
	case p.state == grammarDigits && c >= '0' && c <= '9' && p.count <= maxMessage && (!p.binary || p.size == 1):
		p.count = max(p.count, 0)*10 + int64(c-'0')
		return grammarDigits
	case p.state == grammarDigits && c == '+' && p.count >= 0:
		return grammarPlus
	case (p.state == grammarDigits || p.state == grammarPlus) && c == '}' && p.count >= 0:
		return grammarBrace
	case p.state == grammarBrace && c == '\r':
		return grammarCR
	case p.state == grammarCR && c == '\n':
		return grammarMarker
	}
	return grammarLost
}

func (p *LiteralGrammar) addToToken(c byte) {
	if int(p.size) < maxGrammarToken {
		p.token[p.size] = c
	}
	if p.size < math.MaxUint8 {
		p.size++
	}
}

// word returns the token, or nil if it is longer than maxGrammarToken.
func (p *LiteralGrammar) word() []byte {
	if int(p.size) > maxGrammarToken {
		return nil
	}
	return p.token[:p.size]
}
