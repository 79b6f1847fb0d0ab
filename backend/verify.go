package backend

import (
	"context"
	"errors"
	"fmt"

	"portico/backend/directory"
)

// Verify checks that the client is q.Login and may open the mailbox of q.User, if Portico signs in to the mailbox
// server with its own credential. Otherwise it does nothing. Only nil admits a client; SignIn refuses a route of that
// kind that Verify has not accepted. An unknown user gets the same answer as for a wrong password. If the password
// belongs to another name, the route becomes that name's; the client may have to wait for it as in Route. ctx bounds
// the time. Errors are *Error.
func (t *Tier) Verify(ctx context.Context, r *Route, q directory.Query, client WaitingClient) error {
	if r.Mode != directory.ModeMaster {
		return nil
	}
	if !q.Certificate && !carriesPassword(q.Mechanism) {
		return &Error{Kind: KindNoMechanism, Phase: PhaseVerify,
			Err: fmt.Errorf("%s carries no password to verify", q.Mechanism)}
	}
	owner, err := t.authentication.prove(ctx, q)
	if r.refusal != nil && (err == nil || judged(err)) {
		return r.refusal
	}
	if err != nil {
		kind := kindOfDirectory(err)
		if judged(err) {
			kind = KindBadCredential
		}
		return &Error{Kind: kind, Phase: PhaseVerify, Err: err}
	}
	switch {
	case q.User != q.Login && q.User != owner:
		return &Error{Kind: KindNotAuthorized, Phase: PhaseVerify,
			Err: fmt.Errorf("%s may not act for another user", owner)}
	case owner != q.Login && owner != r.User:
		q.User, q.Login = owner, owner
		if err := t.reroute(ctx, r, q, client); err != nil {
			return err
		}
	}
	r.verified = true
	return nil
}

// judged reports whether a verifier has found that the credential belongs to no known user.
func judged(err error) bool {
	return errors.Is(err, directory.ErrBadCredential) || errors.Is(err, directory.ErrNotFound)
}

// reroute replaces a route by that of another user, whose password was already verified.
func (t *Tier) reroute(ctx context.Context, r *Route, q directory.Query, client WaitingClient) (err error) {
	t.Done(*r)
	*r, err = t.Route(ctx, q, client)
	switch {
	case err != nil:
	case r.refusal != nil:
		err = r.refusal
	case r.Mode != directory.ModeMaster:
		err = &Error{Kind: KindDirectory, Phase: PhaseVerify,
			Err: errors.New("the password belongs to another name, which is not in mode master")}
	}
	return err
}
