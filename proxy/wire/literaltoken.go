package wire

import "math"

// tokenKind is the kind of the token that a LiteralGrammar has come to the end of.
type tokenKind uint8

const (
	kindNone tokenKind = iota
	kindAtom
	kindQuoted
	kindLiteral
)

// openList begins a list. It returns false if the grammar allows no parenthesis here.
func (p *LiteralGrammar) openList() bool {
	if p.verb != VerbAppend {
		p.inFieldList = p.inBrackets
		return p.depth < maxGrammarDepth && p.textsDue == 0 && !p.wordDue
	}
	switch {
	case p.depth == 0 && (p.step == appendNext || p.step == appendDone):
		p.step = appendFlags
	case p.depth == 0 && p.step == appendCatenate:
		p.step = appendPart
	default:
		p.unanswered = p.depth == 0 && p.step != appendMailbox && p.step != appendSet
		return false
	}
	p.textsDue = 0
	return true
}

// closeList ends a list. It returns false if the grammar has no end of a list here.
func (p *LiteralGrammar) closeList() bool {
	switch {
	case p.listDue && p.depth == 0:
		p.listDue = false
	case p.textsDue > 0 && p.rule.search, p.wordDue: // of the search key before
		return false
	case p.verb == VerbList && p.depth == 0 && p.step == 0: // its options
	case p.verb != VerbAppend:
		p.inFieldList = false
		p.endArgument()
	case p.step == appendFlags:
		p.step = appendDate
	case p.step == appendPart && p.textsDue > 0:
		p.step, p.hasMessage = appendDone, true
	default:
		return false
	}
	return true
}

// endToken takes a complete token. It returns false if the grammar has none of its kind here.
func (p *LiteralGrammar) endToken(k tokenKind) bool {
	switch {
	case p.verb == VerbAppend:
		return p.endAppend(k)
	case p.rule.search && !p.searchKey(k):
		return false
	case p.listDue:
		return true
	}
	if p.rule.lists == listsOfInbox && p.depth == 0 && p.step == 0 {
		p.inbox = k == kindQuoted && p.size == 0 || k != kindLiteral && equalFold(p.word(), "INBOX")
	}
	p.endArgument()
	return true
}

// endArgument counts the arguments. A list is one argument.
func (p *LiteralGrammar) endArgument() {
	if p.depth == 0 && p.step < math.MaxUint8 {
		p.step++
	}
}

// searchKey takes a token of SEARCH. It returns false if servers may disagree about what follows.
func (p *LiteralGrammar) searchKey(k tokenKind) bool {
	word := p.word()
	switch {
	case p.textsDue > 0:
		p.textsDue--
	case p.wordDue:
		p.wordDue = false
		return k != kindLiteral
	case p.listDue:
		return p.depth > 0
	case p.depth == 0 && p.step == 0 && k == kindAtom && equalFold(word, "RETURN"):
		p.listDue = true
	case p.step < p.rule.to: // the criteria and the character set of SORT
	case k != kindAtom:
		return false
	case equalFold(word, "HEADER"):
		p.textsDue = 2
	case among(word, textKeys[:]):
		p.textsDue = 1
	case among(word, wordKeys[:]):
		p.wordDue = true
	default:
		return len(word) > 0 && (word[0]-'0' <= 9 || word[0] == '*' || word[0] == '$') || among(word, plainKeys[:])
	}
	return true
}

// The search keys that one string follows, those that one word follows, and those that nothing follows but other keys.
var (
	textKeys = [...]string{"BCC", "BODY", "CC", "CHARSET", "FROM", "SUBJECT", "TEXT", "TO"}
	wordKeys = [...]string{"BEFORE", "KEYWORD", "LARGER", "MODSEQ", "OLDER", "ON", "SAVEDBEFORE", "SAVEDON",
		"SAVEDSINCE", "SENTBEFORE",
		"SENTON", "SENTSINCE", "SINCE", "SMALLER", "UID", "UNKEYWORD", "YOUNGER"}
	plainKeys = [...]string{"ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "FUZZY", "NEW", "NOT", "OLD", "OR",
		"RECENT", "SEEN",
		"UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN"}
)

func among(word []byte, names []string) bool {
	for _, name := range names {
		if equalFold(word, name) {
			return true
		}
	}
	return false
}

func (p *LiteralGrammar) endAppend(k tokenKind) bool {
	switch p.step {
	case appendMailbox: // a server that has no such mailbox, or calls the name invalid, reads on to the command's end
		p.step = appendNext
		return true
	case appendSet:
		p.step = appendMailbox
		return k == kindAtom
	case appendFlags:
		p.doubt = p.doubt || k != kindAtom || !p.plainFlag()
		return true
	case appendPart:
		switch {
		case equalFold(p.word(), "TEXT"):
			p.step = appendText
		case equalFold(p.word(), "URL"):
			p.step = appendURL
		default:
			return false
		}
		return k == kindAtom
	case appendText:
		p.step, p.textsDue = appendPart, 1
		return k == kindLiteral
	case appendURL:
		p.step, p.textsDue = appendPart, 1
		return true
	}
	return p.endMessage(k)
}

// endMessage takes a token where a message may begin.
func (p *LiteralGrammar) endMessage(k tokenKind) bool {
	switch {
	case k == kindLiteral && p.step != appendCatenate:
		p.step, p.hasMessage = appendDone, true
	case k == kindQuoted && p.step != appendMessage && p.step != appendCatenate:
		p.doubt = p.doubt || !validDate(p.word())
		p.step = appendMessage
	case k == kindAtom && p.step != appendCatenate && equalFold(p.word(), "CATENATE"):
		p.step, p.inParts = appendCatenate, true
	default:
		p.unanswered = true
		return false
	}
	return true
}

// plainFlag says whether every server takes the token for a flag.
func (p *LiteralGrammar) plainFlag() bool {
	if p.token[0] != '\\' {
		return true
	}
	return among(p.word(), systemFlags[:])
}

var systemFlags = [...]string{"\\ANSWERED", "\\FLAGGED", "\\DELETED", "\\SEEN", "\\DRAFT"}

// validDate says whether every server accepts text as a date and time (RFC 9051 section 9, date-time).
func validDate(text []byte) bool {
	const form = "01-XXX-0101 01:01:01 +0101"
	if len(text) == len(form)-1 { // a day of one digit
		var padded [len(form)]byte
		padded[0] = ' '
		copy(padded[1:], text)
		text = padded[:]
	}
	if len(text) != len(form) {
		return false
	}
	for i := range len(form) {
		switch c := text[i]; {
		case form[i] == '0' || form[i] == '1':
			if charClass[c]&charDigit == 0 && (i > 0 || c != ' ') {
				return false
			}
		case form[i] == 'X':
		case form[i] == '+' && c == '-':
		case form[i] != c:
			return false
		}
	}
	two := func(at int) int { return int(text[at]&0xf)*10 + int(text[at+1]&0xf) }
	days := daysIn(text[3:6], two(7)*100+two(9))
	return two(0) >= 1 && two(0) <= days && two(12) < 24 && two(15) < 60 && two(18) <= 60
}

// daysIn returns how many days a month has; 0 if there is none of that name.
func daysIn(month []byte, year int) int {
	for i, name := range monthNames {
		switch {
		case !equalFold(month, name):
		case i == 1 && year%4 == 0:
			return 29
		default:
			return daysOfMonths[i]
		}
	}
	return 0
}

var (
	monthNames   = [...]string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	daysOfMonths = [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
)
