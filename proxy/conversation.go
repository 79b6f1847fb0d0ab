package proxy

import (
	"errors"

	"portico/backend"
	"portico/backend/secret"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// command reads and executes one command. It returns a link if that was a successful sign-in, nil and nil if the client
// may continue, and otherwise an error.
func (s *session) command() (*backend.Link, error) {
	s.dialogue.tag, s.dialogue.mechanism = "", ""
	s.attempt.database, s.attempt.routedTo = "", ""
	cmd, err := s.client.commands.ReadCommand(s.proceed)
	s.dialogue.tag = cmd.Tag
	if cmd.Verb == wire.VerbOther && speaksHTTP(cmd.Tag) {
		return nil, OutcomeHTTP
	}
	_, refused := err.(Outcome) // by proceed
	if refused || s.answerable(err) {
		s.logBegin(&cmd, err)
	}
	if err != nil && !refused {
		return nil, err
	}
	s.server.stats.begin()
	s.dialogue.readAt = s.server.opt.Now()
	result := relay.ResultAborted // by a panic
	defer func() { s.server.stats.end(cmd.Verb, result, s.server.opt.Now().Sub(s.dialogue.readAt)) }()
	var link *backend.Link
	if !refused {
		link, err = s.execute(cmd)
	}
	result = resultOf(err)
	return link, err
}

// answerable says whether the client has sent a command, or a line that is not a valid one.
func (s *session) answerable(err error) bool {
	if err == nil {
		return true
	}
	var syntax *wire.SyntaxError
	return errors.As(err, &syntax)
}

// execute executes a command.
func (s *session) execute(cmd wire.Command) (*backend.Link, error) {
	if s.dialogue.probeDone && cmd.Verb != wire.VerbNoop && cmd.Verb != wire.VerbLogout {
		return nil, OutcomeNotBefore
	}
	switch cmd.Verb {
	case wire.VerbLogin:
		return s.login(&cmd.Args)
	case wire.VerbAuthenticate:
		return s.authenticate(&cmd.Args)
	case wire.VerbID:
		return nil, s.identify(&cmd.Args)
	case wire.VerbStartTLS:
		if err := end(&cmd.Args); err != nil {
			return nil, err
		}
		return nil, s.startTLS()
	case wire.VerbCapability, wire.VerbNoop, wire.VerbLogout: // servers ignore what follows
		return nil, s.answerSimple(cmd.Verb)
	case wire.VerbEnable:
		// RFC 5161 allows it only after sign-in. Servers that answer OK enable nothing; BAD may stop a client.
		s.client.say("* ENABLED")
		return nil, s.client.say(s.dialogue.tag + " OK ENABLE has no effect before sign-in.")
	case wire.VerbOther:
		return nil, OutcomeUnknownCommand
	}
	return nil, OutcomeNotBefore
}

// answerSimple answers the commands that take no arguments and change nothing.
func (s *session) answerSimple(v wire.Verb) error {
	switch v {
	case wire.VerbCapability:
		s.client.keep(append(s.appendCapabilities(append(s.client.out, "* "...)), "\r\n"...))
		return s.client.say(s.dialogue.tag + " OK CAPABILITY completed.")
	case wire.VerbNoop:
		return s.client.say(s.dialogue.tag + " OK NOOP completed.")
	}
	s.client.say("* BYE Logging out.")
	s.client.say(s.dialogue.tag + " OK LOGOUT completed.")
	return OutcomeLogout
}

// proceed asks for a literal of a command, or refuses the command: it does not ask for a name or password that LOGIN
// must not send on this connection.
func (s *session) proceed(cmd wire.Command) error {
	if cmd.Verb == wire.VerbLogin {
		if err := s.mayLogin(); err != nil {
			return err
		}
	}
	s.client.say("+ Ready.")
	return s.client.flush()
}

// mayLogin returns an error if the client must not use LOGIN now.
func (s *session) mayLogin() error {
	s.dialogue.mechanism, s.attempt.user = "command", ""
	return s.checkMechanism(plain) // the two go together
}

// login is LOGIN (RFC 9051 section 6.2.3).
func (s *session) login(args *wire.Args) (*backend.Link, error) {
	if err := s.mayLogin(); err != nil {
		return nil, err
	}
	user, ok := argument(args)
	if !ok {
		return nil, syntaxError(args, "user name expected")
	}
	password, ok := argument(args)
	if !ok {
		return nil, syntaxError(args, "password expected")
	}
	if err := end(args); err != nil {
		return nil, err
	}
	return s.signIn(backend.Credential{Username: user, Password: secret.Value(password)})
}

// argument reads a blank and a string.
func argument(args *wire.Args) (string, bool) {
	if !args.Space() {
		return "", false
	}
	return args.Astring()
}

func end(args *wire.Args) error {
	if !args.End() {
		return syntaxError(args, "unexpected argument")
	}
	return nil
}

func syntaxError(args *wire.Args, reason string) error {
	return &wire.SyntaxError{Pos: args.Pos(), Reason: reason}
}

// speaksHTTP says whether the tag is the method of an HTTP request line. The request's body may be made to look like
// commands, so none of it is read.
func speaksHTTP(tag string) bool {
	switch tag {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI":
		return true
	}
	return false
}
