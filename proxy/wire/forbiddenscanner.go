package wire

import "bytes"

// ForbiddenScanner looks for COMPRESS and UNAUTHENTICATE in the bytes that a client sends to a server: a line that
// would make the server compress or sign the user out. It looks inside literals too, because servers disagree about
// what a literal is: what CommandScanner reads as one may be a command for the server. It takes everything that
// follows a LF for the start of a line, and every byte up to a blank for a blank. The zero value stands at the start
// of a line. It is not safe for concurrent use.
type ForbiddenScanner struct {
	state   forbiddenState
	matched uint8 // letters of the word
	odd     bool  // the line is one that servers may read in any way
	waits   bool  // some odd line may be IDLE or AUTHENTICATE
}

// OddLine says that the line that begins here has no valid head: any word of it may be the verb for some server.
func (l *ForbiddenScanner) OddLine() {
	*l = ForbiddenScanner{state: lookForVerb, odd: true, waits: l.waits}
}

// Waits says whether a line without a valid head may be a command that another line follows, IDLE or AUTHENTICATE.
func (l *ForbiddenScanner) Waits() bool { return l.waits }

// InLine says that what comes next stands in a line, in a place where no server looks for a command.
func (l *ForbiddenScanner) InLine() { *l = ForbiddenScanner{state: lookForLine, waits: l.waits} }

type forbiddenState uint8

const (
	lookForTag       forbiddenState = iota // at the line's start, or in blanks there
	inTag                                  // in its first word
	lookForVerb                            // in the blanks behind
	inCompress                             // in a second word that is COMPRESS so far
	inUnauthenticate                       // in one that is UNAUTHENTICATE so far
	lookForArg                             // in the blanks behind COMPRESS
	inArg                                  // in what may be DEFLATE
	inIdle                                 // in a word of an odd line that is IDLE so far
	inAuthenticate                         // in one that is AUTHENTICATE so far
	lookForLine                            // in a line that can do no harm
)

const (
	wordCompress       = "COMPRESS"
	wordUnauthenticate = "UNAUTHENTICATE"
	wordIdle           = "IDLE"
	wordAuthenticate   = "AUTHENTICATE"
	wordDeflate        = "DEFLATE" // the only mechanism there is (RFC 4978)
)

// Find scans p, which continues where the last call stopped. If it finds such a line, it returns the offset of the
// byte that makes it certain. That byte must not be sent: without it and what follows, no server has the line.
// Otherwise it returns -1.
func (l *ForbiddenScanner) Find(p []byte) int {
	i := 0
	for ; l.odd && i < len(p); i++ {
		if l.stepOdd(p[i]) {
			return i
		}
	}
	for ; i < len(p); i++ {
		switch l.state {
		case lookForLine:
			eol := bytes.IndexByte(p[i:], '\n')
			if eol < 0 {
				return -1
			}
			i += eol
		case inTag: // the first word of a line of base64 is all of it
			for i < len(p) && p[i] > ' ' {
				i++
			}
			if i == len(p) {
				return -1
			}
		}
		if l.step(p[i]) {
			return i
		}
	}
	return -1
}

// stepOdd is step in an odd line, up to its LF. Every run of letters may be the verb.
func (l *ForbiddenScanner) stepOdd(c byte) bool {
	word := l.oddWord()
	switch letter := charClass[c]&charAlpha != 0; {
	case !letter:
		whole := word != "" && l.whole(word)
		certain := whole && (l.state == inCompress || l.state == inUnauthenticate)
		l.waits = l.waits || whole && !certain
		if l.state = lookForVerb; c == '\n' {
			*l = ForbiddenScanner{waits: l.waits}
		}
		return certain
	case l.state == lookForVerb:
		l.beginOddWord(c)
	case word != "" && !l.whole(word):
		l.follows(word, c)
	default: // in another word
		l.state = lookForLine
	}
	return false
}

// beginOddWord begins a word of an odd line.
func (l *ForbiddenScanner) beginOddWord(c byte) {
	switch l.beginVerb(c); upperCase(c) {
	case wordIdle[0]:
		l.state = inIdle
	case wordAuthenticate[0]:
		l.state = inAuthenticate
	}
}

// oddWord returns what the word of an odd line is so far.
func (l *ForbiddenScanner) oddWord() string {
	switch l.state {
	case inCompress:
		return wordCompress
	case inUnauthenticate:
		return wordUnauthenticate
	case inIdle:
		return wordIdle
	case inAuthenticate:
		return wordAuthenticate
	}
	return ""
}

// step takes the next byte and says whether it makes the line certain.
func (l *ForbiddenScanner) step(c byte) bool {
	if c == '\n' {
		signedOut := l.state == inUnauthenticate && l.whole(wordUnauthenticate)
		*l = ForbiddenScanner{waits: l.waits}
		return signedOut
	}
	blank := c <= ' '
	switch l.state {
	case lookForTag:
		if !blank {
			l.state = inTag
		}
	case inTag:
		if blank {
			l.state = lookForVerb
		}
	case lookForVerb:
		if !blank {
			l.beginVerb(c)
		}
	case inCompress:
		return l.inCompress(c)
	case inUnauthenticate:
		return l.inUnauthenticate(c)
	case lookForArg:
		return !blank && l.beginArg(c)
	case inArg:
		return l.follows(wordDeflate, c) && l.whole(wordDeflate)
	}
	return false
}

func (l *ForbiddenScanner) beginVerb(c byte) {
	l.matched = 1
	switch upperCase(c) {
	case wordCompress[0]:
		l.state = inCompress
	case wordUnauthenticate[0]:
		l.state = inUnauthenticate
	default:
		l.state = lookForLine
	}
}

// The second word ends at the first byte that is no letter.

func (l *ForbiddenScanner) inUnauthenticate(c byte) bool {
	if !l.whole(wordUnauthenticate) {
		l.follows(wordUnauthenticate, c)
		return false
	}
	l.state = lookForLine
	return charClass[c]&charAlpha == 0
}

func (l *ForbiddenScanner) inCompress(c byte) bool {
	switch {
	case !l.whole(wordCompress):
		l.follows(wordCompress, c)
	case charClass[c]&charAlpha != 0:
		l.state = lookForLine
	case c > ' ':
		return l.beginArg(c)
	default:
		l.state = lookForArg
	}
	return false
}

// beginArg looks at how COMPRESS's argument begins: a string may hold the mechanism too.
func (l *ForbiddenScanner) beginArg(c byte) bool {
	if c == '"' || c == '{' || c == '~' {
		return true
	}
	l.state, l.matched = inArg, 0
	l.follows(wordDeflate, c)
	return false
}

// follows says whether c is the word's next letter; if not, the line can do no harm.
func (l *ForbiddenScanner) follows(word string, c byte) bool {
	if upperCase(c) != word[l.matched] {
		l.state = lookForLine
		return false
	}
	l.matched++
	return true
}

func (l *ForbiddenScanner) whole(word string) bool { return int(l.matched) == len(word) }
