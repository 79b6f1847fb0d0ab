package relay

import (
	"math"

	"portico/proxy/wire"
)

// guard keeps COMPRESS and UNAUTHENTICATE from a mailbox server that offers them, or may offer them. It looks into
// literals too: servers disagree about what a literal is, so a line of one may be a command. If every server reads the
// bytes as a literal, the guard skips them.
//
// A line is odd if it has no valid head. A "+" is late if it answers a wait that has ended without it.
type guard struct {
	forbidden      wire.ForbiddenScanner
	latePlusUntil  uint16 // the number of the first command whose answer shows that no late "+" can come
	latePlus       bool   // a late "+" may still come
	inDoubt        bool   // the server may read the client's bytes in another way than we do; never false again
	certainLiteral bool   // every server reads the literal that the client is sending as one
	oddLines       uint8  // without an answer so far
}

// literalGrammar follows a command while it is being sent. It belongs to the loop's pool.
type literalGrammar struct {
	wire.LiteralGrammar
	next *literalGrammar // in the pool
}

// mustGuard says whether the server may offer COMPRESS or UNAUTHENTICATE.
func (s *session) mustGuard() bool { return s.offers != OffersNone }

// findForbidden scans bytes before they are forwarded. If the server must not get a line among them, it returns the
// offset of a byte without which the line has no effect. Otherwise it returns -1. The grammar need not see a line that
// ends its command, because such a line has no literal's marker.
func (s *session) findForbidden(p []byte, literal bool, event wire.CommandEvent) int {
	g := &s.guard
	switch {
	case s.handling != handlingForward, literal && g.certainLiteral:
		return -1
	case !literal && event != wire.CommandEnd && s.current != nil && s.current.grammar != nil:
		s.current.grammar.Feed(p)
	}
	offset := g.forbidden.Find(p)
	g.inDoubt = g.inDoubt || g.forbidden.MayContinue()
	return offset
}

// beginCommand gives a new command its grammar.
func (g *guard) beginCommand(c *command, head wire.CommandHead, text []byte, pool *commandPool) {
	c.grammar = pool.getGrammar()
	c.grammar.Begin(head, text)
	c.known = c.grammar.Known()
}

// noteOddLine records an odd line. The server may answer it in any way, once.
func (g *guard) noteOddLine() {
	g.forbidden.OddLine()
	if g.oddLines < math.MaxUint8 {
		g.oddLines++
	}
}

// noteUnknownAnswer records an answer whose tag no open command has. If no odd line is unanswered, the server has read
// some line in another way than we do.
func (g *guard) noteUnknownAnswer() { g.inDoubt = g.inDoubt || !g.takeOddAnswer() }

// takeOddAnswer takes an answer that may be to an odd line. It returns false if no odd line is unanswered.
func (g *guard) takeOddAnswer() bool {
	if g.oddLines == 0 {
		return false
	}
	g.oddLines--
	return true
}

// expectLatePlus records that a wait for "+" has ended, apparently without its answer. If the server's line was about
// something else, the "+" comes late: before the answer to any command that begins from now on.
func (g *guard) expectLatePlus(t *tracker) { g.latePlus, g.latePlusUntil = true, uint16(t.numBegun()) }

// noteUnaskedPlus records a "+" that nobody waits for.
func (g *guard) noteUnaskedPlus() { g.inDoubt = g.inDoubt || g.latePlus }

// announceLiteral tells the grammar of a literal that needs the server's "+".
func (g *guard) announceLiteral(c *command, e wire.Extensions) {
	if c != nil && c.grammar != nil {
		c.grammar.Literal(e)
	}
}

// acceptLiteral takes the "+" for such a literal. The "+" may be meant for something else if the command takes no
// literal, or if another open command may wait for "+". follows says whether the literal has any bytes.
func (g *guard) acceptLiteral(c *command, t *tracker, follows bool) {
	g.beginLiteral(c != nil && c.grammar != nil && c.grammar.MayAsk() && !t.othersMayAsk(c), follows)
}

// passNonSync says whether the client's marker of a non-synchronising literal may be forwarded. If servers may disagree
// about the literal, it returns false: the relay then asks this server.
func (g *guard) passNonSync(certainty wire.Certainty, follows bool) bool {
	if certainty == wire.Doubtful && !g.inDoubt && !g.latePlus {
		return false
	}
	g.beginLiteral(certainty == wire.Certain, follows)
	return true
}

// beginLiteral decides whether the literal that begins is scanned. follows says whether it has any bytes.
func (g *guard) beginLiteral(certain, follows bool) {
	if g.inDoubt = g.inDoubt || g.latePlus || !certain; !g.inDoubt && follows {
		g.certainLiteral = true
		g.forbidden.InLine()
	}
}

// endLiteral ends the literal that beginLiteral began.
func (g *guard) endLiteral() { g.certainLiteral = false }

// noteAnswer records the answer to a command. It may show that no late "+" can come.
func (g *guard) noteAnswer(c *command) {
	if g.latePlus && int16(c.number-g.latePlusUntil) >= 0 {
		g.latePlus = false
	}
}

// othersMayAsk says whether the server may send "+" for an open command other than c.
func (t *tracker) othersMayAsk(c *command) bool {
	for other := t.first; other != nil; other = other.next {
		if other != c && other.verb == wire.VerbOther && !other.known {
			return true
		}
	}
	return false
}

// getGrammar returns a grammar that is not in use.
func (p *commandPool) getGrammar() *literalGrammar {
	grammar := p.grammars
	if grammar == nil {
		return new(literalGrammar)
	}
	p.grammars, grammar.next = grammar.next, nil
	return grammar
}

// putGrammar returns a command's grammar to the pool.
func (p *commandPool) putGrammar(c *command) {
	if c.grammar != nil {
		c.grammar.next, p.grammars = p.grammars, c.grammar
		c.grammar = nil
	}
}
