package backend

import (
	"context"
	"time"

	"portico/backend/directory"
	"portico/backend/secret"
)

// OpenRequest is whose mailbox a probe opens on one server.
type OpenRequest struct {
	User     string       // canonical
	Password secret.Value // for servers that judge users themselves
	Step     func(phase string, d time.Duration)
}

// Open signs in to one mailbox server as a user would, even if the server is paused, its circuit breaker is open, or
// it has no active copy. Probes use it. The result counts for the server's circuit breaker. Errors are *Error, or wrap
// ErrUnknownName.
func (t *Tier) Open(ctx context.Context, server string, q OpenRequest) (*Link, error) {
	s, err := t.topology.server(server)
	if err != nil {
		return nil, err
	}
	request := SignInRequest{Tag: "probe", User: q.User, Step: q.Step,
		Credential: Credential{Username: q.User, Password: q.Password}}
	if t.authentication.mode == directory.ModeMaster && t.authentication.master != nil {
		request.Credential, request.own = t.authentication.master.credential(q.User), true
	}
	link, err := t.connectAndSignIn(ctx, s, request, nil)
	t.protection.circuitBreakers.tested(server, asError(err), true)
	return link, err
}
