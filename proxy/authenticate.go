package proxy

import (
	"encoding/base64"
	"slices"
	"strings"

	"portico/backend"
	"portico/backend/secret"
	"portico/proxy/wire"
)

// mechanism is one SASL mechanism that clients may use.
type mechanism struct {
	secret bool // it shows a password or a token
	// read makes a credential of what the client sends; initial is the client's initial response, nil if it sent none.
	read func(s *session, name string, initial []byte) (backend.Credential, error)
}

// The mechanisms with special rules.
const (
	plain    = "PLAIN"
	external = "EXTERNAL"
)

var mechanisms = map[string]mechanism{
	plain:           {secret: true, read: (*session).readMessage},
	"LOGIN":         {secret: true, read: (*session).readLogin},
	"XOAUTH2":       {secret: true, read: (*session).readMessage},
	"OAUTHBEARER":   {secret: true, read: (*session).readMessage},
	"SCRAM-SHA-1":   {read: (*session).readMessage},
	"SCRAM-SHA-256": {read: (*session).readMessage},
	external:        {read: (*session).readExternal},
}

// authenticate is AUTHENTICATE (RFC 9051 section 6.2.2), with or without an initial response (RFC 4959).
func (s *session) authenticate(args *wire.Args) (*backend.Link, error) {
	name, initial, err := authenticateArguments(args)
	s.dialogue.mechanism, s.attempt.user = "other", ""
	if _, known := mechanisms[name]; known {
		s.dialogue.mechanism = name
	}
	if err == nil {
		err = s.checkMechanism(name)
	}
	if err != nil {
		return nil, err
	}
	credential, err := mechanisms[name].read(s, name, initial)
	if err != nil {
		return nil, err
	}
	credential.Mechanism = name
	return s.signIn(credential)
}

// checkMechanism does checkOffered for a mechanism that the mailbox tier may not support.
func (s *session) checkMechanism(name string) error {
	if !slices.Contains(s.set.Tier.Mechanisms(), name) {
		return OutcomeNoMechanism
	}
	return s.checkOffered(name)
}

func authenticateArguments(args *wire.Args) (name string, initial []byte, err error) {
	if !args.Space() {
		return "", nil, syntaxError(args, "mechanism expected")
	}
	name, ok := args.Atom()
	if !ok {
		return "", nil, syntaxError(args, "mechanism expected")
	}
	var response string
	if args.Space() && !args.End() {
		if response, ok = args.Atom(); !ok {
			return "", nil, syntaxError(args, "initial response expected")
		}
	}
	if err := end(args); err != nil {
		return "", nil, err
	}
	if response != "" {
		initial, err = wire.DecodeInitialResponse(response)
	}
	return strings.ToUpper(name), initial, err
}

// respond sends a challenge and reads the client's response. If there is an initial response, it returns that and sends
// nothing.
func (s *session) respond(challenge string, initial []byte) ([]byte, error) {
	if initial != nil {
		return initial, nil
	}
	return s.challenge([]byte(challenge))
}

// challenge sends a challenge and reads the client's response.
func (s *session) challenge(challenge []byte) (response []byte, err error) {
	s.client.say("+ " + base64.StdEncoding.EncodeToString(challenge))
	began := s.server.opt.Now()
	response, err = s.client.commands.ReadSASL()
	s.dialogue.readAt = s.server.opt.Now() // the client's time does not count as ours
	s.attempt.clientTime += s.dialogue.readAt.Sub(began)
	return response, err
}

// readMessage is for mechanisms whose first message says who signs in. Client and mailbox server exchange further
// messages; see converse.
func (s *session) readMessage(name string, initial []byte) (backend.Credential, error) {
	message, err := s.respond("", initial)
	if err != nil {
		return backend.Credential{}, err
	}
	return backend.ReadMessage(name, message)
}

// readExternal is EXTERNAL (RFC 4422 appendix A). The client's certificate says who it is. The client may name another
// mailbox.
func (s *session) readExternal(_ string, initial []byte) (backend.Credential, error) {
	authzid, err := s.respond("", initial)
	if err != nil {
		return backend.Credential{}, err
	}
	return backend.Credential{Username: identity(s.certificate()), Authzid: string(authzid)}, nil
}

// readLogin is LOGIN, of draft-murchison-sasl-login: two challenges, two responses.
func (s *session) readLogin(_ string, initial []byte) (backend.Credential, error) {
	user, err := s.respond("Username:", initial)
	if err != nil {
		return backend.Credential{}, err
	}
	password, err := s.respond("Password:", nil)
	if err != nil {
		return backend.Credential{}, err
	}
	return backend.Credential{Username: string(user), Password: secret.Value(password)}, nil
}
