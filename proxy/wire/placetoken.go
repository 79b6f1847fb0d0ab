package wire

import "math"

// tokenKind is what kind of token a Place has come to the end of.
type tokenKind uint8

const (
	kindNone tokenKind = iota
	kindAtom
	kindQuoted
	kindLiteral
)

// opens says whether a parenthesis may stand here.
func (p *Place) opens() bool {
	if p.verb != VerbAppend {
		return p.depth < maxPlaceDepth && p.texts == 0
	}
	switch {
	case p.depth == 0 && (p.step == appendNext || p.step == appendDone):
		p.step = appendFlags
	case p.depth == 0 && p.step == appendCatenate:
		p.step = appendPart
	default:
		return false
	}
	return true
}

// closes is for the parenthesis that ends a list. It answers false where the grammar has none.
func (p *Place) closes() bool {
	switch {
	case p.verb != VerbAppend:
		p.endArgument()
	case p.step == appendFlags:
		p.step = appendDate
	case p.step == appendPart:
		p.step, p.again = appendDone, true
	default:
		return false
	}
	return true
}

// end is for a token that is over. It answers false where the grammar has none of its kind.
func (p *Place) end(k tokenKind) bool {
	switch {
	case p.verb == VerbAppend:
		return p.endAppend(k)
	case !p.rule.search:
	case p.texts > 0:
		p.texts--
	default:
		p.texts = textsBehind(p.word(), k)
	}
	if p.rule.lists == listsOfInbox && p.depth == 0 && p.step == 0 {
		p.inbox = k == kindQuoted && p.size == 0 || k != kindLiteral && equalFold(p.word(), "INBOX")
	}
	p.endArgument()
	return true
}

// endArgument counts the arguments, a list being one.
func (p *Place) endArgument() {
	if p.depth == 0 && p.step < math.MaxUint8 {
		p.step++
	}
}

// textKeys are the search keys that one string follows.
var textKeys = [...]string{"BCC", "BODY", "CC", "CHARSET", "FROM", "SUBJECT", "TEXT", "TO"}

// textsBehind returns how many strings a search key is followed by.
func textsBehind(word []byte, k tokenKind) uint8 {
	if k != kindAtom {
		return 0
	}
	if equalFold(word, "HEADER") {
		return 2
	}
	for _, key := range textKeys {
		if equalFold(word, key) {
			return 1
		}
	}
	return 0
}

func (p *Place) endAppend(k tokenKind) bool {
	switch p.step {
	case appendMailbox: // a server that has no such mailbox, or calls the name invalid, reads on to the command's end
		p.step = appendNext
		return true
	case appendFlags:
		return k == kindAtom && p.plainFlag()
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
		p.step = appendPart
		return k == kindLiteral
	case appendURL:
		p.step = appendPart
		return true
	}
	return p.endMessage(k)
}

// endMessage is for a token that stands where a message may begin.
func (p *Place) endMessage(k tokenKind) bool {
	switch {
	case k == kindLiteral && p.step != appendCatenate:
		p.step, p.again = appendDone, true
	case k == kindQuoted && p.step != appendMessage && p.step != appendCatenate && validDate(p.word()):
		p.step = appendMessage
	case k == kindAtom && p.step != appendCatenate && equalFold(p.word(), "CATENATE"):
		p.step = appendCatenate
	default:
		return false
	}
	return true
}

// plainFlag says whether every server takes the token for a flag.
func (p *Place) plainFlag() bool {
	if p.token[0] != '\\' {
		return true
	}
	for _, known := range systemFlags {
		if equalFold(p.word(), known) {
			return true
		}
	}
	return false
}

var systemFlags = [...]string{"\\ANSWERED", "\\FLAGGED", "\\DELETED", "\\SEEN", "\\DRAFT"}

// validDate says whether every server takes a date and time, (RFC 9051 section 9, date-time).
func validDate(text []byte) bool {
	const form = "01-XXX-0101 01:01:01 +0101"
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
	return two(0) >= 1 && two(0) <= days && two(12) < 24 && two(15) < 60 && two(18) <= 60 && two(22) < 24 && two(24) < 60
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
