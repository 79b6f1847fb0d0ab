package proxy

// ticketList lists tickets in the order in which they were added. The links are in the tickets, so that adding and
// removing cost the same however many there are.
type ticketList struct {
	kind        listKind
	first, last *ticket
	number      int
}

// listKind says which of a ticket's links a list uses: each ticket is in one list of each kind at most.
type listKind uint8

const (
	ofAll listKind = iota
	ofAddress
	ofExchanges // of an address, in the middle of an exchange with a mailbox server
	numListKinds
)

type link struct{ before, behind *ticket }

// add puts a ticket at the end.
func (s *ticketList) add(t *ticket) {
	l := &t.links[s.kind]
	*l = link{before: s.last}
	if s.last == nil {
		s.first = t
	} else {
		s.last.links[s.kind].behind = t
	}
	s.last = t
	s.number++
}

// remove takes a ticket out that is in the list.
func (s *ticketList) remove(t *ticket) {
	l := t.links[s.kind]
	if l.before == nil {
		s.first = l.behind
	} else {
		l.before.links[s.kind].behind = l.behind
	}
	if l.behind == nil {
		s.last = l.before
	} else {
		l.behind.links[s.kind].before = l.before
	}
	t.links[s.kind] = link{}
	s.number--
}
