package wire

import "bytes"

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
	switch p.verb {
	case VerbAppend:
		switch {
		case p.depth == 0 && (p.step == appendNext || p.step == appendDone):
			p.step = appendFlags
		case p.depth == 0 && p.step == appendCatenate:
			p.step = appendPart
		default:
			return false
		}
		return true
	case VerbSearch, VerbUIDSearch, VerbSort, VerbUIDSort, VerbThread, VerbUIDThread:
		return p.depth < 16 && p.texts == 0
	}
	return false
}

// closes is for the parenthesis that ends a list of APPEND.
func (p *Place) closes() bool {
	switch p.step {
	case appendFlags:
		p.step = appendDate
	case appendPart:
		p.step, p.again = appendDone, true
	default:
		return false
	}
	return true
}

// end is for a token that is over. It answers false where the grammar has none of its kind.
func (p *Place) end(k tokenKind) bool {
	switch p.verb {
	case VerbAppend:
		return p.endAppend(k)
	case VerbSearch, VerbUIDSearch, VerbSort, VerbUIDSort, VerbThread, VerbUIDThread:
		if p.texts > 0 {
			p.texts--
		} else {
			p.texts = textsBehind(p.word(), k)
		}
		return true
	}
	if p.depth == 0 && p.step < appendDone {
		p.step++
	}
	return p.step > 1 || k == kindLiteral || validMailbox(p.word())
}

// textKeys are the search keys that one string follows.
var textKeys = [...]string{"BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"}

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
	case appendMailbox: // in a literal it is not seen
		p.step = appendNext
		return k != kindLiteral && p.size > 0 && validMailbox(p.word())
	case appendFlags:
		return k == kindAtom && plainFlag(p.word())
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

// plainFlag says whether every server takes a flag. Long keywords are refused by some.
func plainFlag(flag []byte) bool {
	if len(flag) > 0 && flag[0] != '\\' {
		return len(flag) <= maxPlainKeyword
	}
	for _, known := range systemFlags {
		if equalFold(flag, known) {
			return true
		}
	}
	return false
}

const maxPlainKeyword = 32

var systemFlags = [...]string{"\\ANSWERED", "\\FLAGGED", "\\DELETED", "\\SEEN", "\\DRAFT"}

// validMailbox says whether every server takes a mailbox's name for one, be it that of a mailbox or not. Servers that decode the
// modified UTF-7 of RFC 3501 section 5.1.3 refuse a command at a name that is none.
func validMailbox(name []byte) bool {
	if name == nil { // too long
		return false
	}
	for {
		shift := bytes.IndexByte(name, '&')
		if shift < 0 {
			return true
		}
		length := bytes.IndexByte(name[shift:], '-')
		if length < 0 || !validShift(name[shift+1:shift+length]) {
			return false
		}
		name = name[shift+length+1:]
		if length > 1 && len(name) > 0 && name[0] == '&' { // two shifts could be one
			return false
		}
	}
}

// validShift says whether text is UTF-16 of the basic plane in modified base64, of characters that need it. None is "&" itself.
func validShift(text []byte) bool {
	bits, have := uint32(0), 0
	for _, c := range text {
		digit := bytes.IndexByte(base64Digits, c)
		if digit < 0 {
			return false
		}
		bits, have = bits<<6|uint32(digit), have+6
		if have < 16 {
			continue
		}
		have -= 16
		if char := bits >> have & 0xffff; char < 0x80 || char >= 0xd800 && char < 0xe000 || char >= 0xfff0 {
			return false
		}
	}
	return have < 6 && bits&(1<<have-1) == 0
}

var base64Digits = []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,")

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
	year := two(7)*100 + two(9)
	days := daysIn(text[3:6], year)
	return two(0) >= 1 && two(0) <= days && year >= 1970 && year < 2038 && two(12) < 24 && two(15) < 60 && two(18) < 60 &&
		two(22) <= 14 && two(24) < 60
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
