package backend

import (
	"context"
	"errors"

	"portico/backend/directory"
)

// Verify judges the password of who signs in (q.Login), where the proxy has to know: before it signs in to a mailbox server with a
// credential of its own. Only nil lets anybody in; without a Verifier nobody gets it. A user whom no verifier knows is answered as a
// wrong password is. The context bounds it. Errors are *Error.
func (t *Tier) Verify(ctx context.Context, q directory.Query) error {
	err := directory.Unavailable("verify", errors.New("nothing judges passwords"))
	if t.verifier != nil {
		err = t.verifier.Verify(ctx, q)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, directory.ErrBadCredential), errors.Is(err, directory.ErrNotFound):
		return &Error{Kind: KindBadCredential, Phase: PhaseVerify, Err: err}
	}
	return &Error{Kind: kindOfDirectory(err), Phase: PhaseVerify, Err: err}
}
