package backend

import (
	"encoding/base64"
	"errors"
	"fmt"

	"portico/proxy/wire"
)

// signIn is the conversation from the sign-in command to its answer.
type signIn struct {
	*conversation
	idTag     string // of our ID while its answer is missing
	pending   script // what the server has not asked for yet
	asked     int    // challenges passed on to the client
	replies   []byte
	offers    Offers
	succeeded bool
}

// signIn signs in with the client's credential, ID in front, and returns what is for the client.
func (c *conversation) signIn() (*signIn, error) {
	c.enter(PhaseSignIn, c.tier.timeouts.SignIn)
	s := &signIn{conversation: c}
	if c.capabilities.Hidden() {
		s.offers = OffersHidden
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	// A server may answer both commands in any order; the client must not see the answer to ours.
	for !s.succeeded || s.idTag != "" {
		resp, err := c.read()
		if err != nil {
			return nil, err
		}
		if err := s.handle(resp); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// begin sends ID, if the server is to have it, and the first part of the sign-in in one write.
func (s *signIn) begin() error {
	parts, err := s.request.Credential.script(s.request.Tag, s.capabilities)
	switch {
	case errors.Is(err, errNUL):
		return s.fail(KindBadCredential, err)
	case err != nil:
		s.tier.survey.learn(s.server.name, s.capabilities) // so that the next client is not promised it
		return s.fail(KindNoMechanism, err)
	}
	s.pending = parts[1:]
	var first []byte
	if s.server.trustedID && s.capabilities.Has("ID") {
		s.idTag = s.ownTag()
		first = appendID(first, s.idTag, s.request.Client)
	}
	return s.write(append(first, parts[0]...))
}

func (s *signIn) handle(resp wire.Response) error {
	switch {
	case resp.Kind == wire.Continuation && len(s.pending) > 0 && !s.succeeded:
		next := s.pending[0]
		s.pending = s.pending[1:]
		return s.write(next)
	case resp.Kind == wire.Continuation && relayed(s.request.Credential.Mechanism) && !s.succeeded:
		return s.converse(resp)
	case resp.Kind == wire.Untagged:
		if s.idTag == "" || resp.Name != "ID" {
			s.keep(resp)
		}
		return nil
	case resp.Kind == wire.Tagged && resp.Tag == s.idTag:
		s.idTag = "" // whatever it says: the server may ignore who the client is
		return nil
	case resp.Kind == wire.Tagged && resp.Tag == s.request.Tag && !s.succeeded:
		return s.judge(resp)
	}
	return s.fail(KindProtocol, errNonsense)
}

// maxChallenges is how many challenges of one sign-in are passed on. SCRAM has two.
const maxChallenges = 8

// converse takes a challenge to the client, and the response back. What the client takes for it is nobody else's time.
func (s *signIn) converse(resp wire.Response) error {
	if s.asked++; s.asked > maxChallenges {
		return s.fail(KindProtocol, fmt.Errorf("more than %d challenges", maxChallenges))
	}
	challenge, err := base64.StdEncoding.DecodeString(resp.Text)
	if err != nil {
		return s.fail(KindProtocol, errors.New("a challenge that is no base64"))
	}
	s.laps.enter("")
	response, err := s.request.Converse(challenge)
	s.enter(PhaseSignIn, s.tier.timeouts.SignIn)
	if err != nil {
		return s.fail(KindClient, err)
	}
	return s.write(base64Line(string(response)))
}

// judge takes the answer to the sign-in.
func (s *signIn) judge(resp wire.Response) error {
	switch {
	case resp.Status == wire.StatusBAD:
		return s.fail(KindProtocol, fmt.Errorf("sign-in answered with BAD: %s", s.clean(resp.Text)))
	case resp.Status == wire.StatusNO:
		return s.refusal(resp)
	case len(s.pending) > 0:
		return s.fail(KindProtocol, errors.New("sign-in accepted before the credential was sent"))
	}
	s.succeeded = true
	s.keep(resp)
	return nil
}

// refusal reads a NO. Only a plain one and AUTHENTICATIONFAILED say that the credential is wrong; if that is ours, the client can do
// nothing about it.
func (s *signIn) refusal(resp wire.Response) *Error {
	kind := KindRefused
	if resp.Code == "" || resp.Code == "AUTHENTICATIONFAILED" {
		kind = KindBadCredential
		if s.request.own {
			kind = KindOwnCredential
		}
	}
	text := s.clean(resp.Text)
	if resp.Code != "" {
		text = s.clean(resp.Code) + ": " + text
	}
	e := s.fail(kind, fmt.Errorf("sign-in refused: %s", text))
	e.Code, e.Text = s.codeForClient(resp)
	return e
}

// keep adds a response to what the client gets.
func (s *signIn) keep(resp wire.Response) {
	if !resp.ListsCapabilities() {
		s.replies = append(s.replies, resp.Raw...)
		return
	}
	var hidden bool
	s.replies, hidden = wire.AppendFilteredCapabilities(s.replies, resp.Raw)
	switch {
	case hidden:
		s.offers = OffersHidden
	case s.offers == OffersUnknown:
		s.offers = OffersNone
	}
}
