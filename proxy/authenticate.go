package proxy

import (
	"encoding/base64"
	"fmt"
	"strings"

	"portico/backend"
	"portico/backend/secret"
	"portico/proxy/wire"
)

// mechanism is one SASL mechanism that clients may use. read leads its exchange to a credential; initial is the client's
// initial response, nil if it sent none.
type mechanism struct {
	name string
	read func(s *session, initial []byte) (backend.Credential, error)
}

var mechanisms = [...]mechanism{
	{"PLAIN", (*session).readPlain},
	{"LOGIN", (*session).readLogin},
}

// authenticate is AUTHENTICATE (RFC 9051 section 6.2.2), with or without an initial response (RFC 4959).
func (s *session) authenticate(args *wire.Args) (*backend.Link, error) {
	mechanism, initial, err := authenticateArguments(args)
	if err != nil {
		return nil, err
	}
	if !s.passwordAllowed() {
		return nil, OutcomePrivacyRequired
	}
	credential, err := mechanism.read(s, initial)
	if err != nil {
		return nil, err
	}
	credential.Mechanism = mechanism.name
	return s.signIn(credential)
}

func authenticateArguments(args *wire.Args) (m mechanism, initial []byte, err error) {
	if !args.Space() {
		return m, nil, syntaxError(args, "mechanism expected")
	}
	name, ok := args.Atom()
	if !ok {
		return m, nil, syntaxError(args, "mechanism expected")
	}
	var response string
	if args.Space() {
		if response, ok = args.Atom(); !ok {
			return m, nil, syntaxError(args, "initial response expected")
		}
	}
	if err := end(args); err != nil {
		return m, nil, err
	}
	for _, m := range mechanisms {
		if strings.EqualFold(m.name, name) {
			if response != "" {
				initial, err = wire.DecodeInitialResponse(response)
			}
			return m, initial, err
		}
	}
	return m, nil, OutcomeNoMechanism
}

// respond sends a challenge and reads the client's response. With an initial response at hand it is that, and nothing is sent.
func (s *session) respond(challenge string, initial []byte) ([]byte, error) {
	if initial != nil {
		return initial, nil
	}
	s.client.say("+ " + base64.StdEncoding.EncodeToString([]byte(challenge)))
	response, err := s.client.commands.ReadSASL()
	s.asked = s.server.opt.Now() // what the client took for it is not ours
	return response, err
}

// readPlain is PLAIN (RFC 4616): authorization identity, user name and password in one response.
func (s *session) readPlain(initial []byte) (backend.Credential, error) {
	response, err := s.respond("", initial)
	if err != nil {
		return backend.Credential{}, err
	}
	fields := strings.Split(string(response), "\x00")
	if len(fields) != 3 {
		return backend.Credential{}, fmt.Errorf("%w: PLAIN with %d fields", OutcomeBadSASL, len(fields))
	}
	return backend.Credential{Authzid: fields[0], Username: fields[1], Password: secret.Value(fields[2])}, nil
}

// readLogin is LOGIN, of draft-murchison-sasl-login: two challenges, two responses.
func (s *session) readLogin(initial []byte) (backend.Credential, error) {
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
