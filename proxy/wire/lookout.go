package wire

import "bytes"

// Lookout watches a client's bytes, as they are about to go to a server, for a line that would make the server
// compress or sign the user out, whatever stands around it: servers disagree about literals, and what is one for a
// CommandScanner may be a command for them. It takes everything that follows a LF for the start of a line and every
// byte up to a blank for a blank. The zero value stands at the start of a line. It is not safe for concurrent use.
type Lookout struct {
	state   lookoutState
	matched uint8 // letters of the word
	odd     bool  // the line is one that servers may read in any way
	waits   bool  // some odd line may be IDLE or AUTHENTICATE
}

// OddLine says that the line that begins here has no valid head: any word of it may be the verb for some server.
func (l *Lookout) OddLine() { *l = Lookout{state: lookForVerb, odd: true, waits: l.waits} }

// Waits says whether a line without a valid head may be a command that another line follows, IDLE or AUTHENTICATE.
func (l *Lookout) Waits() bool { return l.waits }

// InLine says that what comes next stands in a line, in a place where no server looks for a command.
func (l *Lookout) InLine() { *l = Lookout{state: lookForLine, waits: l.waits} }

type lookoutState uint8

const (
	lookForTag       lookoutState = iota // at the line's start, or in blanks there
	inTag                                // in its first word
	lookForVerb                          // in the blanks behind
	inCompress                           // in a second word that is COMPRESS so far
	inUnauthenticate                     // in one that is UNAUTHENTICATE so far
	lookForArg                           // in the blanks behind COMPRESS
	inArg                                // in what may be DEFLATE
	inIdle                               // in a word of an odd line that is IDLE so far
	inAuthenticate                       // in one that is AUTHENTICATE so far
	lookForLine                          // in a line that can do no harm
)

const (
	wordCompress       = "COMPRESS"
	wordUnauthenticate = "UNAUTHENTICATE"
	wordIdle           = "IDLE"
	wordAuthenticate   = "AUTHENTICATE"
	wordDeflate        = "DEFLATE" // the only mechanism there is (RFC 4978)
)

// Sees walks through p, which continues where the last call stopped. When it sees such a line it answers with the
// offset of the byte that makes it certain, which must not be sent: without it and what follows no server has the
// line. Otherwise it answers -1.
func (l *Lookout) Sees(p []byte) int {
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
func (l *Lookout) stepOdd(c byte) bool {
	word := l.oddWord()
	switch letter := charClass[c]&charAlpha != 0; {
	case !letter:
		whole := word != "" && l.whole(word)
		certain := whole && (l.state == inCompress || l.state == inUnauthenticate)
		l.waits = l.waits || whole && !certain
		if l.state = lookForVerb; c == '\n' {
			*l = Lookout{waits: l.waits}
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
func (l *Lookout) beginOddWord(c byte) {
	switch l.beginVerb(c); upperCase(c) {
	case wordIdle[0]:
		l.state = inIdle
	case wordAuthenticate[0]:
		l.state = inAuthenticate
	}
}

// oddWord returns what the word of an odd line is so far.
func (l *Lookout) oddWord() string {
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
func (l *Lookout) step(c byte) bool {
	if c == '\n' {
		signedOut := l.state == inUnauthenticate && l.whole(wordUnauthenticate)
		*l = Lookout{waits: l.waits}
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

func (l *Lookout) beginVerb(c byte) {
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

func (l *Lookout) inUnauthenticate(c byte) bool {
	if !l.whole(wordUnauthenticate) {
		l.follows(wordUnauthenticate, c)
		return false
	}
	l.state = lookForLine
	return charClass[c]&charAlpha == 0
}

func (l *Lookout) inCompress(c byte) bool {
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
func (l *Lookout) beginArg(c byte) bool {
	if c == '"' || c == '{' || c == '~' {
		return true
	}
	l.state, l.matched = inArg, 0
	l.follows(wordDeflate, c)
	return false
}

// follows says whether c is the word's next letter; if not, the line can do no harm.
func (l *Lookout) follows(word string, c byte) bool {
	if upperCase(c) != word[l.matched] {
		l.state = lookForLine
		return false
	}
	l.matched++
	return true
}

func (l *Lookout) whole(word string) bool { return int(l.matched) == len(word) }
