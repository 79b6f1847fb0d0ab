package protolog

// SetUp takes the events of a session before sign-in. It keeps them, because more rules may match once the user is
// known. One goroutine may use it.
type SetUp struct {
	log     *Log
	pending []pendingEvent
}

// pendingEvent is an event that more rules or tails may want later.
type pendingEvent struct {
	event Event
	given *Match // who has it already
}

// maxPending is how many events wait until the user is known. Rules that match only then miss later ones.
const maxPending = 64

// SetUp returns a SetUp for one session.
func (l *Log) SetUp() SetUp { return SetUp{log: l} }

// Note takes an event. s is what is known of the session now.
func (u *SetUp) Note(s Subject, e Event) {
	d := u.log.demand.Load()
	u.pending = append(u.pending, pendingEvent{event: e})
	if m := d.match(s); m != nil {
		for i := range u.pending {
			u.give(&u.pending[i], m, s)
		}
	}
	switch open := d.mayMatchLater(s); {
	case !open:
		u.pending = nil
	case len(u.pending) > maxPending:
		u.pending = u.pending[:maxPending]
	}
}

// give puts an event into the ring for the rules and tails that do not have it yet.
func (u *SetUp) give(p *pendingEvent, m *Match, s Subject) {
	rest := m.without(p.given)
	if rest == nil || !rest.Wants(p.event.Command, p.event.Duration) {
		return
	}
	e := p.event
	e.Session = e.Session.knownAs(s)
	e.given = p.given
	rest.Mark(&e)
	p.given = m
	u.log.note(e)
}

// note puts an event into the ring that all set-ups share.
func (l *Log) note(e Event) {
	l.setups.Lock()
	defer l.setups.Unlock()
	r := l.rings[0]
	if slot := r.Slot(); slot != nil {
		*slot = e
		r.Put()
	}
}
