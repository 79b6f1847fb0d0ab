package wire

import "math"

// LiteralGrammar follows the text of a command, in pieces of any size, to decide whether the grammar of its verb has a
// literal where one is announced. It errs on one side only: if servers might read the command in different ways, it
// says that there is none. Call Begin first. It is not safe for concurrent use.
type LiteralGrammar struct {
	verb  Verb
	rule  literalRule
	state grammarState
	step  appendStep // of APPEND; of the others: the arguments complete so far
	depth uint8      // of parentheses
	skip  uint8      // bytes of the head still to come
	texts uint8      // search keys: how many strings have to follow; CATENATE: how many parts there are
	word1 bool       // search keys: a word that is no key has to follow
	again bool       // APPEND has a message already
	parts bool       // APPEND has a message in parts (CATENATE)
	doubt bool       // servers may disagree about the literals to come
	mute  bool       // and some neither ask for them nor refuse them
	inbox bool       // the mailbox is INBOX, or none
	opts  bool       // behind RETURN: its list has to follow
	brack bool       // in the brackets of BODY[]
	field bool       // in a list there
	known bool       // see Known
	odd   bool       // servers may not agree about the command's head
	bin   bool       // the marker has a tilde
	size  uint8      // bytes of the token so far; MaxUint8 if more
	text  uint16     // bytes of the command so far, messages left out
	count int64      // what the marker says
	token [maxGrammarToken]byte
}

const (
	maxGrammarToken = 32       // a date; longer words have no meaning here
	maxGrammarText  = 16 << 10 // some server refuses longer commands
	maxGrammarDepth = 16
	maxMessage      = math.MaxInt32
)

// grammarState is where in its line a LiteralGrammar stands.
type grammarState uint8

const (
	grammarStart  grammarState = iota // a token has to begin
	grammarOpen                       // or a list to end, in which there is nothing yet
	grammarAtom                       // in an atom
	grammarQuoted                     // in a quoted string
	grammarEscape                     // behind a backslash there
	grammarEnd                        // behind a token
	grammarDigits                     // in a marker: its number
	grammarPlus                       // behind its "+"
	grammarBrace                      // behind its "}"
	grammarCR                         // behind its CR
	grammarMarker                     // behind its LF
	grammarLost                       // not to be told for the rest of the command
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

// Begin starts with the command that text begins with, whose head was read.
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

// plainHead says whether servers agree about a command's head: a tag that none objects to, one blank, the verb, one
// blank.
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

// MayAsk says whether the "+" that follows a synchronising literal's marker allows that literal: the verb takes
// arguments, and has no "+" of its own.
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

// Known says whether it is known if, and when, a server says "+" to the verb.
func (p *LiteralGrammar) Known() bool { return p.known }

// Feed takes the next piece of the command's lines. The bytes of literals are left out.
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
		p.state = p.next(c)
	}
}

// Certainty says what servers make of a non-synchronising literal's marker.
type Certainty uint8

const (
	// Doubtful: some may take the literal for commands. Asked by a synchronising literal's marker, they say what they
	// make of it.
	Doubtful Certainty = iota
	// Certain: for all of them it announces a literal.
	Certain
	// Unanswered: as Doubtful, but some do not answer when they are asked.
	Unanswered
)

// Literal is for the literal whose marker was fed last. It is Certain if the grammar has one of that size there, in
// front of a server with these extensions.
func (p *LiteralGrammar) Literal(e Extensions) Certainty {
	is := Certain
	switch {
	case p.state != grammarMarker:
		p.state = grammarLost
		return p.unclear()
	case p.verb == VerbAppend && p.messageHere(e):
		p.text = 0
	case p.textHere(e):
		p.text += uint16(p.count)
	default:
		p.mute = p.verb == VerbAppend && (p.step == appendFlags || p.step == appendCatenate)
		p.state = grammarLost
		return p.unclear()
	}
	if p.doubt {
		is = Doubtful
	}
	if p.state = grammarEnd; !p.end(kindLiteral) {
		p.state = grammarLost
	}
	return is
}

// unclear says what servers make of a marker where the grammar has no literal.
func (p *LiteralGrammar) unclear() Certainty {
	if p.mute {
		return Unanswered
	}
	return Doubtful
}

// textHere says whether the command has an argument, or a part of one, here that may be a literal.
func (p *LiteralGrammar) textHere(e Extensions) bool {
	r := &p.rule
	switch {
	case p.bin, p.count > MaxLiteralMinus, r.needs != 0 && e&r.needs == 0:
		return false
	case p.verb == VerbAppend:
		return p.step == appendMailbox || p.step == appendURL && e&Catenate != 0
	case p.depth > 0 && !r.search:
		return p.listHere()
	}
	return p.texts > 0 || p.depth == 0 && p.step >= r.from && p.step < r.to
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
		return p.field
	}
	return false
}

// messageHere says whether APPEND has a message, or a part of one, here.
func (p *LiteralGrammar) messageHere(e Extensions) bool {
	if p.count == 0 || p.count > maxMessage || p.bin && e&Binary == 0 || p.again && e&MultiAppend == 0 ||
		p.parts && e&Catenate == 0 {
		return false
	}
	switch p.step {
	case appendNext, appendDate, appendMessage, appendDone, appendText:
		return true
	}
	return false
}

// next takes a byte and returns the state after it.
func (p *LiteralGrammar) next(c byte) grammarState {
	switch p.state {
	case grammarStart, grammarOpen:
		return p.begin(c)
	case grammarAtom:
		if charClass[c]&(charAtom|charTag) != 0 || c == '*' || c == '%' || c == '\\' { // "1:*", LIST, Public\x
			p.keep(c)
			p.brack = p.rule.lists == listsOfFields && (c == '[' || p.brack && c != ']')
			return grammarAtom
		}
		return p.behind(c, kindAtom)
	case grammarQuoted, grammarEscape:
		return p.quoted(c)
	case grammarEnd:
		return p.behind(c, kindNone)
	}
	return p.marker(c)
}

// begin takes the first byte of a token.
func (p *LiteralGrammar) begin(c byte) grammarState {
	p.size = 0
	switch {
	case c == ' ':
		return p.state
	case c == '(' && p.opens():
		p.depth++
		return grammarOpen
	case c == ')' && p.depth > 0:
		return p.behind(c, kindNone)
	case c == '"':
		return grammarQuoted
	case c == '{' || c == '~':
		p.bin, p.count = c == '~', -1
		return grammarDigits
	case charClass[c]&charAtom != 0, c == '*' || c == '%' || c == '\\':
		p.keep(c)
		return grammarAtom
	}
	return grammarLost
}

func (p *LiteralGrammar) quoted(c byte) grammarState {
	switch {
	case c < ' ' || c == 0x7f:
		return grammarLost
	case p.state == grammarQuoted && c == '\\':
		return grammarEscape
	case p.state == grammarQuoted && c == '"':
		if !p.end(kindQuoted) {
			return grammarLost
		}
		return grammarEnd
	}
	p.keep(c)
	return grammarQuoted
}

// behind takes the byte that follows a token, whose kind is kindNone where it has been ended already.
func (p *LiteralGrammar) behind(c byte, k tokenKind) grammarState {
	closes := c == ')' && p.depth > 0
	switch {
	case k != kindNone && c != ' ' && !closes, k != kindNone && !p.end(k):
		return grammarLost
	case c == ' ':
		return grammarStart
	case closes:
		p.depth--
		if !p.closes() {
			return grammarLost
		}
		return grammarEnd
	case c == ']' && p.brack: // BODY[HEADER.FIELDS (...)]
		p.brack = false
		return grammarAtom
	}
	p.mute = p.verb == VerbAppend && p.depth == 0 && p.step != appendNext
	return grammarLost // the command's end too
}

// marker takes a byte of a literal's marker, which the server gets without its "+" if need be.
func (p *LiteralGrammar) marker(c byte) grammarState {
	switch {
	case p.state == grammarDigits && c == '{' && p.bin && p.count == -1 && p.size == 0:
		p.size = 1
		return grammarDigits
	case p.state == grammarDigits && p.bin && p.size == 0 && (charClass[c]&charAtom != 0 || c == ' ' || c == ')'):
		// an atom: ~/x
		p.keep('~')
		p.state = grammarAtom
		return p.next(c)
	case p.state == grammarDigits && c >= '0' && c <= '9' && p.count <= maxMessage && (!p.bin || p.size == 1):
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

func (p *LiteralGrammar) keep(c byte) {
	if int(p.size) < maxGrammarToken {
		p.token[p.size] = c
	}
	if p.size < math.MaxUint8 {
		p.size++
	}
}

// word returns the token; what is too long for one is none.
func (p *LiteralGrammar) word() []byte {
	if int(p.size) > maxGrammarToken {
		return nil
	}
	return p.token[:p.size]
}
