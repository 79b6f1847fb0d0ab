package relay

import (
	"math"

	"portico/proxy/wire"
)

// guard keeps COMPRESS and UNAUTHENTICATE from a mailbox server that offers them, or may offer them. It looks into
// literals too: servers disagree about what a literal is, so a line of one may be a command. What every server reads
// as a literal passes unread.
type guard struct {
	forbidden wire.ForbiddenScanner
	lateFrom  uint16 // the number of the first command whose answer shows that no "+" is late
	late      bool   // a "+" for a wait that is over may still come
	doubtful  bool   // for good: the server may read what the client sends in another way than we do
	unread    bool   // the literal that the client is sending is one for every server
	oddLines  uint8  // not answered so far
}

// literalGrammar follows a command while it is being sent. It belongs to the loop's pool.
type literalGrammar struct {
	wire.LiteralGrammar
	next *literalGrammar // in the pool
}

// guards says whether the server may offer what the relay must keep from it.
func (s *session) guards() bool { return s.offers != OffersNone }

// look scans bytes before they are passed on. If a line among them must be kept from the server, it returns the offset
// of a byte without which the line has no effect, otherwise -1. A line that ends its command has no literal's
// marker, so the grammar need not see it.
func (s *session) look(p []byte, literal bool, event wire.CommandEvent) int {
	g := &s.guard
	switch {
	case s.handling != passed, literal && g.unread:
		return -1
	case !literal && event != wire.CommandEnd && s.current != nil && s.current.grammar != nil:
		s.current.grammar.Feed(p)
	}
	at := g.forbidden.Find(p)
	g.doubtful = g.doubtful || g.forbidden.Waits()
	return at
}

// begin is for a command that begins.
func (g *guard) begin(c *command, head wire.CommandHead, text []byte, pool *commandPool) {
	c.grammar = pool.grammar()
	c.grammar.Begin(head, text)
	c.known = c.grammar.Known()
}

// sent is for a line whose last byte is sent.
func (g *guard) sent(c *command, pool *commandPool) { pool.takeGrammar(c) }

// odd is for a line without a valid head. The server may answer it in any way, once.
func (g *guard) odd() {
	g.forbidden.OddLine()
	if g.oddLines < math.MaxUint8 {
		g.oddLines++
	}
}

// unknown is for an answer to a command that never was. Unless it is one to an odd line, the server has read some line
// in another way than we do.
func (g *guard) unknown() { g.doubtful = g.doubtful || !g.oddAnswered() }

// oddAnswered is for what may be the answer to an odd line. It says whether there is one without an answer.
func (g *guard) oddAnswered() bool {
	if g.oddLines == 0 {
		return false
	}
	g.oddLines--
	return true
}

// cancelled is for a wait for "+" that the server seems to have ended without an answer. If what it said was about
// something else, that "+" is still to come: before the answer to any command that begins after.
func (g *guard) cancelled(t *tracker) { g.late, g.lateFrom = true, uint16(t.begun()) }

// unasked is for a "+" that nobody waits for.
func (g *guard) unasked() { g.doubtful = g.doubtful || g.late }

// asked is for a literal that the server has to allow.
func (g *guard) asked(c *command, e wire.Extensions) {
	if c != nil && c.grammar != nil {
		c.grammar.Literal(e)
	}
}

// accepted is for the "+" that allows it. It may be meant for something else where the command takes no literal, or
// where a command that we do not know is open.
func (g *guard) accepted(c *command, t *tracker, follows bool) {
	g.literal(c != nil && c.grammar != nil && c.grammar.MayAsk() && !t.othersMayAsk(c), follows)
}

// free is for a literal that the server does not have to allow. It says whether the client's marker may be passed on:
// if servers may disagree about it, this one is asked.
func (g *guard) free(is wire.Certainty, follows bool) bool {
	if is == wire.Doubtful && !g.doubtful && !g.late {
		return false
	}
	g.literal(is == wire.Certain, follows)
	return true
}

// literal is for a literal that begins, if any byte of it follows.
func (g *guard) literal(certain, follows bool) {
	if g.doubtful = g.doubtful || g.late || !certain; !g.doubtful && follows {
		g.unread = true
		g.forbidden.InLine()
	}
}

// literalOver is for a literal's last byte.
func (g *guard) literalOver() { g.unread = false }

// answered is for an answer to a command.
func (g *guard) answered(c *command) {
	if g.late && int16(c.number-g.lateFrom) >= 0 {
		g.late = false
	}
}

// othersMayAsk says whether an open command other than c may be one that the server says "+" to.
func (t *tracker) othersMayAsk(c *command) bool {
	for other := t.first; other != nil; other = other.next {
		if other != c && other.verb == wire.VerbOther && !other.known {
			return true
		}
	}
	return false
}

// grammar returns one that is not in use.
func (p *commandPool) grammar() *literalGrammar {
	grammar := p.grammars
	if grammar == nil {
		return new(literalGrammar)
	}
	p.grammars, grammar.next = grammar.next, nil
	return grammar
}

// takeGrammar returns a command's grammar to the pool.
func (p *commandPool) takeGrammar(c *command) {
	if c.grammar != nil {
		c.grammar.next, p.grammars = p.grammars, c.grammar
		c.grammar = nil
	}
}
