package relay

import "portico/proxy/wire"

// guard keeps COMPRESS and UNAUTHENTICATE from a mailbox server that offers them, or may offer them, wherever in the client's bytes they
// stand: servers disagree about what a literal is, so a line of one may be a command. What is a literal for every server passes
// unread.
type guard struct {
	lookout  wire.Lookout
	doubtful bool // for good: the server may read what the client sends in another way than we do
	unread   bool // the literal that the client is sending is one for every server
	selected bool // a mailbox is
}

// place is where a command stands while it is being sent. It belongs to the loop's pool.
type place struct {
	wire.Place
	next *place // in the pool
}

// guards says whether there is anything to keep from the server.
func (s *session) guards() bool { return s.offers != OffersNone }

// look looks at bytes that are about to be passed on. If a line among them has to be kept from the server, it returns the offset of a byte
// without which the line does nothing, else -1.
func (s *session) look(p []byte, literal bool) int {
	switch {
	case s.becomes != passed, literal && s.guard.unread:
		return -1
	case !literal && s.current != nil && s.current.place != nil:
		s.current.place.Feed(p)
	}
	return s.guard.lookout.Sees(p)
}

// begin is for a command that begins.
func (g *guard) begin(c *command, head wire.CommandHead, text []byte, pool *commandPool) {
	c.place = pool.place()
	c.place.Begin(head, text)
	if changesMailbox(head.Verb) {
		g.selected = false
	}
}

// sent is for a line whose last byte is sent.
func (g *guard) sent(c *command, pool *commandPool) { pool.takePlace(c) }

// odd is for a line without a valid head.
func (g *guard) odd() {
	g.doubtful = true
	g.lookout.OddLine()
}

// asked is for a literal that the server has to allow.
func (g *guard) asked(c *command) {
	if c != nil && c.place != nil {
		c.place.Literal(0, false)
	}
}

// accepted is for the "+" that allows it. It may be meant for something else where the command takes no literal, or where a command that
// we do not know is open.
func (g *guard) accepted(c *command, t *tracker, follows bool) {
	g.literal(c != nil && c.place != nil && c.place.MayAsk() && !t.othersMayAsk(c), follows)
}

// free is for a literal that the server does not have to allow.
func (g *guard) free(c *command, e wire.Extensions, follows bool) {
	g.literal(c != nil && c.place != nil && c.place.Literal(e, g.selected), follows)
}

// literal is for a literal that begins, if any byte of it follows.
func (g *guard) literal(certain, follows bool) {
	if g.doubtful = g.doubtful || !certain; !g.doubtful && follows {
		g.unread = true
		g.lookout.InLine()
	}
}

// literalOver is for a literal's last byte.
func (g *guard) literalOver() { g.unread = false }

// answered is for an answer to a command.
func (g *guard) answered(c *command, status wire.Status, t *tracker) {
	if status != wire.StatusOK || c.verb != wire.VerbSelect && c.verb != wire.VerbExamine {
		return
	}
	g.selected = true
	for other := t.first; other != nil; other = other.next {
		if other != c && changesMailbox(other.verb) {
			g.selected = false
		}
	}
}

// changesMailbox says whether a command selects a mailbox, or none.
func changesMailbox(v wire.Verb) bool {
	switch v {
	case wire.VerbSelect, wire.VerbExamine, wire.VerbClose, wire.VerbUnselect, wire.VerbLogout:
		return true
	}
	return false
}

// othersMayAsk says whether an open command other than c may be one that the server says "+" to.
func (t *tracker) othersMayAsk(c *command) bool {
	for other := t.first; other != nil; other = other.next {
		if other != c && other.verb == wire.VerbOther {
			return true
		}
	}
	return false
}

// place returns one that is not in use.
func (p *commandPool) place() *place {
	at := p.places
	if at == nil {
		return new(place)
	}
	p.places, at.next = at.next, nil
	return at
}

// takePlace takes back a command's place.
func (p *commandPool) takePlace(c *command) {
	if c.place != nil {
		c.place.next, p.places = p.places, c.place
		c.place = nil
	}
}
