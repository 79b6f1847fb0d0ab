package wire

import "bytes"

// ForbiddenScanner looks for COMPRESS and UNAUTHENTICATE in the bytes that a client sends to a server: a line that
// would make the server compress or sign the user out. It looks inside literals too, because servers disagree about
// what a literal is: what CommandScanner reads as one may be a command for the server. It takes everything that
// follows a LF for the start of a line, and every byte up to a blank for a blank. The zero value stands at the start
// of a line. It is not safe for concurrent use.
type ForbiddenScanner struct {
	state       forbiddenState
	matched     uint8 // letters of the word
	odd         bool  // servers may read the line in any way
	mayContinue bool  // some odd line may be IDLE or AUTHENTICATE
}

// OddLine tells the scanner that an odd line begins here: for some server any word of it may be the verb.
func (l *ForbiddenScanner) OddLine() {
	*l = ForbiddenScanner{state: lookForVerb, odd: true, mayContinue: l.mayContinue}
}

// MayContinue says whether an odd line may be IDLE or AUTHENTICATE, which another line follows.
func (l *ForbiddenScanner) MayContinue() bool { return l.mayContinue }

// InLine tells the scanner that the next bytes continue a line, where no server looks for a command.
func (l *ForbiddenScanner) InLine() {
	*l = ForbiddenScanner{state: lookForLine, mayContinue: l.mayContinue}
}

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
	lookForLine                            // in a harmless line
)

const (
	wordCompress       = "COMPRESS"
	wordUnauthenticate = "UNAUTHENTICATE"
	wordIdle           = "IDLE"
	wordAuthenticate   = "AUTHENTICATE"
	wordDeflate        = "DEFLATE" // the only mechanism there is (RFC 4978)
)

// Find scans p, which continues where the last call stopped. If it finds a forbidden line, it returns the offset of the
// byte that makes it certain. Do not send that byte or any later one: then no server gets the line. Otherwise it
// returns -1.
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
		whole := word != "" && l.matchedAll(word)
		certain := whole && (l.state == inCompress || l.state == inUnauthenticate)
		l.mayContinue = l.mayContinue || whole && !certain
		if l.state = lookForVerb; c == '\n' {
			*l = ForbiddenScanner{mayContinue: l.mayContinue}
		}
		return certain
	case l.state == lookForVerb:
		l.beginOddWord(c)
	case word != "" && !l.matchedAll(word):
		l.matchNext(word, c)
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
		signedOut := l.state == inUnauthenticate && l.matchedAll(wordUnauthenticate)
		*l = ForbiddenScanner{mayContinue: l.mayContinue}
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
		return l.stepCompress(c)
	case inUnauthenticate:
		return l.stepUnauthenticate(c)
	case lookForArg:
		return !blank && l.beginArg(c)
	case inArg:
		return l.matchNext(wordDeflate, c) && l.matchedAll(wordDeflate)
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

func (l *ForbiddenScanner) stepUnauthenticate(c byte) bool {
	if !l.matchedAll(wordUnauthenticate) {
		l.matchNext(wordUnauthenticate, c)
		return false
	}
	l.state = lookForLine
	return charClass[c]&charAlpha == 0
}

func (l *ForbiddenScanner) stepCompress(c byte) bool {
	switch {
	case !l.matchedAll(wordCompress):
		l.matchNext(wordCompress, c)
	case charClass[c]&charAlpha != 0:
		l.state = lookForLine
	case c > ' ':
		return l.beginArg(c)
	default:
		l.state = lookForArg
	}
	return false
}

// beginArg takes the first byte of COMPRESS's argument. The argument may be a string too.
func (l *ForbiddenScanner) beginArg(c byte) bool {
	if c == '"' || c == '{' || c == '~' {
		return true
	}
	l.state, l.matched = inArg, 0
	l.matchNext(wordDeflate, c)
	return false
}

// matchNext says whether c is the word's next letter. If it is not, the line is harmless.
func (l *ForbiddenScanner) matchNext(word string, c byte) bool {
	if upperCase(c) != word[l.matched] {
		l.state = lookForLine
		return false
	}
	l.matched++
	return true
}

func (l *ForbiddenScanner) matchedAll(word string) bool { return int(l.matched) == len(word) }
