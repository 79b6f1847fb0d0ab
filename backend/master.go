package backend

import (
	"context"
	"errors"
	"fmt"

	"portico/backend/directory"
	"portico/backend/secret"
)

// Master is a credential of the proxy's own, which opens every mailbox: the proxy uses it for users it has verified.
type Master struct {
	User     string
	Password secret.Value
	// Separator signs in as USER*MASTER, for servers that want that; else it is PLAIN with USER as authorization
	// identity.
	Separator bool
}

// credential opens a user's mailbox.
func (m *Master) credential(user string) Credential {
	c := Credential{Mechanism: mechanismPlain, Authzid: user, Username: m.User, Password: m.Password}
	if m.Separator {
		c.Authzid, c.Username = "", user+string(MasterSeparator)+m.User
	}
	return c
}

// errNotVerified would let everybody into every mailbox.
var errNotVerified = errors.New("the master credential is only for verified users")

// checkMaster refuses what would let nobody in, or everybody.
func checkMaster(o Options) error {
	switch {
	case o.Mode != directory.ModeMaster:
		return nil
	case o.Master == nil:
		return errors.New("mode master needs a master credential")
	case o.Verifier == nil && !o.Certificates:
		return errors.New("mode master needs something that verifies users")
	}
	return nil
}

// Verify makes sure that who signs in is q.Login and may open the mailbox of q.User, where the proxy has to know:
// before it signs in to the mailbox server with a credential of its own. Where it has not, there is nothing to do.
// Only nil lets anybody in; SignIn takes no route of that kind that Verify has not passed. A user whom no verifier
// knows is answered as a wrong password is. If the password belongs to another name than was asked for, the route
// becomes the one of that name, for which the client may have to wait as in Route. The context bounds it. Errors are
// *Error.
func (t *Tier) Verify(ctx context.Context, r *Route, q directory.Query, client WaitingClient) error {
	if r.Mode != directory.ModeMaster {
		return nil
	}
	if !q.Certificate && !carriesPassword(q.Mechanism) {
		return &Error{Kind: KindNoMechanism, Phase: PhaseVerify,
			Err: fmt.Errorf("%s carries no password to verify", q.Mechanism)}
	}
	owner, err := t.prove(ctx, q)
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

// judged reports whether a verifier has found that the credential is no known user's.
func judged(err error) bool {
	return errors.Is(err, directory.ErrBadCredential) || errors.Is(err, directory.ErrNotFound)
}

// reroute replaces a route by the one of another user, who has given a password already.
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

// prove returns whose password q.Password is, or whose certificate was verified.
func (t *Tier) prove(ctx context.Context, q directory.Query) (owner string, err error) {
	switch {
	case q.Certificate:
		return q.Login, nil
	case t.verifier == nil:
		return "", directory.Unavailable("verify", errors.New("nothing is configured to verify passwords"))
	}
	if owner, err = t.verifier.Verify(ctx, q); err != nil {
		return "", err
	}
	if owner, err = Canonical(owner, ""); err != nil {
		return "", directory.Unavailable("verify", fmt.Errorf("impossible user name: %w", err))
	}
	return owner, nil
}
