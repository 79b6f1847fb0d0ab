package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portico/backend"
	"portico/backend/directory"
)

// blameTime bounds the questions to other servers after a probe's own sign-in has failed.
const blameTime = 5 * time.Second

// explain finds out what a failed sign-in to a mailbox server blames, if its error does not say: the directory, the
// authentication of all servers, or that of this server.
func (b Back) explain(ctx context.Context, run *Run, a account, database, server string, err error) error {
	var e *backend.Error
	if !errors.As(err, &e) || e.Phase != backend.PhaseSignIn {
		return err
	}
	if e.Crowded {
		return &Failure{Authentication, e.Phase,
			fmt.Errorf("account %s has used up the connections that %s allows it: %w",
				a.user, server, err)}
	}
	silent := e.Kind == backend.KindTimeout
	if d := ofKind[e.Kind]; !silent && d != Authentication {
		return err
	}
	ctx, cancel := run.beside(ctx, blameTime)
	defer cancel()
	if silent {
		if _, _, cause := b.Tier().Where(ctx, directory.Query{User: a.name, Login: a.name}); cause != nil {
			d, phase := blame(cause)
			return &Failure{d, phase, fmt.Errorf("%w; %w", err, cause)}
		}
	}
	if !silent && b.Tier().TakesUsers(server) {
		return &Failure{Authentication, e.Phase, fmt.Errorf("account %s, while users sign in to %s: %w", a.user,
			server, err)}
	}
	other, taken := b.takenElsewhere(ctx, a, database, server)
	switch {
	case taken:
		return &Failure{MailboxServerAuthentication, e.Phase,
			fmt.Errorf("%w; %s accepts the same sign-in", err, other)}
	case silent && other == "": // no other server tells: it is this one that does not answer
		return &Failure{MailboxServerAuthentication, e.Phase, err}
	case silent:
		return &Failure{Authentication, e.Phase, fmt.Errorf("%w; %s does not accept it either", err, other)}
	}
	return &Failure{Authentication, e.Phase, fmt.Errorf("account %s: %w", a.user, err)}
}

// takenElsewhere signs in to the other servers with a copy of the database, until one accepts. It returns that server,
// or the last one that it asked, or "" if there is no other server.
func (b Back) takenElsewhere(ctx context.Context, a account, database, server string) (other string, taken bool) {
	for _, c := range b.Tier().ActiveManager().Copies() {
		if c.Database != database || c.Server == server || ctx.Err() != nil {
			continue
		}
		other = c.Server
		link, err := b.Tier().Open(ctx, other, backend.OpenRequest{User: a.user, Password: a.password})
		if err == nil {
			link.Conn.Close()
			return other, true
		}
	}
	return other, false
}
