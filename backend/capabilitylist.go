package backend

import (
	"errors"
	"time"

	"portico/proxy/wire"
)

// capabilityList is what a sign-in knows of the server's capability list. The client gets the list when the sign-in
// succeeds, because it has seen only Portico's list so far.
type capabilityList struct {
	known   bool
	extends wire.Extensions
	tag     string // of our CAPABILITY while its answer is missing
	lost    string // tag of one that the server seems to have dropped
}

// read keeps the list of a response that has one.
func (l *capabilityList) read(resp wire.Response) {
	l.known, l.extends = true, wire.ListedExtensions(resp.Raw)
}

// answered records the answer to Portico's CAPABILITY command. It returns false for any other tag.
func (l *capabilityList) answered(tag string) bool {
	switch tag {
	case l.tag:
		l.tag = ""
	case l.lost:
		l.lost = ""
	default:
		return false
	}
	return true
}

// listHabit is how a server sends its capability list at sign-in. Portico learns it from earlier sign-ins, so that it
// asks only where that helps.
type listHabit int32

// The habits.
const (
	listUnknown     listHabit = iota
	listVolunteered           // it sends the list
	// it does not; whether it answers what is sent in one packet with the sign-in is not known yet
	listSilent
	listAsked   // it answers CAPABILITY in one packet with the sign-in
	listDropped // it drops what follows the sign-in, as Courier does: another process goes on
)

// listPatience is how long the answer to CAPABILITY in one packet with the sign-in may take. Then it is asked for
// again.
const listPatience = time.Second

// askListBehind adds CAPABILITY to the last part of a sign-in, where the server does not send its list without being
// asked.
func (s *signIn) askListBehind(parts script) {
	if habit := listHabit(s.server.list.Load()); habit == listSilent || habit == listAsked {
		s.list.tag = s.ownTag()
		parts.text(s.list.tag + " CAPABILITY\r\n")
	}
}

// completeList makes sure that the client gets a list, if the server gives one at all. The sign-in is accepted.
func (s *signIn) completeList() error {
	if s.list.tag == "" && s.list.known {
		s.server.list.CompareAndSwap(int32(listUnknown), int32(listVolunteered))
		s.server.list.CompareAndSwap(int32(listSilent), int32(listAsked))
		return nil
	}
	if s.list.tag == "" {
		s.server.list.CompareAndSwap(int32(listUnknown), int32(listSilent))
	} else if answered, err := s.awaitList(listPatience); answered || err != nil {
		return err
	}
	s.list.tag = s.ownTag()
	s.enter(PhaseSignIn, s.tier.timeouts.SignIn)
	if err := s.write([]byte(s.list.tag + " CAPABILITY\r\n")); err != nil {
		return err
	}
	for s.list.tag != "" {
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// awaitList waits for the answer to the CAPABILITY that went with the sign-in. It is not answered where the server has
// dropped it.
func (s *signIn) awaitList(patience time.Duration) (answered bool, err error) {
	s.enter(PhaseSignIn, min(patience, s.tier.timeouts.SignIn))
	for s.list.tag != "" {
		err := s.next()
		var e *Error
		if errors.As(err, &e) && e.Kind == KindTimeout && s.ctx.Err() == nil {
			s.list.lost, s.list.tag = s.list.tag, ""
			s.server.list.Store(int32(listDropped))
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	s.server.list.CompareAndSwap(int32(listSilent), int32(listAsked))
	return true, nil
}
