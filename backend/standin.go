package backend

import (
	"context"
	"errors"
	"strings"

	"portico/backend/directory"
	"portico/backend/secret"
)

// A stranger must not learn by time or words which users exist. So a sign-in as a user whom the directory does not
// know, or refuses, goes the way of all others up to a mailbox server's answer: it waits where others wait, fails
// where others fail, and takes as long as a wrong password takes there. Only then is it refused.

// standIn gives a database to a user who has none. It stays the same for a name.
func (l *locator) standIn(user string) directory.Entry {
	return directory.Entry{User: user, Database: l.standIns.Database(user)}
}

// refuse signs in for a user who may not, without the secret, and returns why the user is refused. What goes wrong
// otherwise is returned as for all users.
func (t *Tier) refuse(ctx context.Context, r Route, q SignInRequest) error {
	q.Credential = q.Credential.withoutSecret()
	link, err := t.signInAlong(ctx, r, q)
	if err == nil {
		link.LogOut(t.now())
		return r.refusal
	}
	var e *Error
	if errors.As(err, &e) && e.Kind == KindBadCredential {
		return r.refusal
	}
	return err
}

// withoutSecret replaces each letter and digit of the password or token, which is none of the server's business. What
// is left of a token has the form of one. The messages of SCRAM hold no secret.
func (c Credential) withoutSecret() Credential {
	password := c.Password.Reveal()
	if password == "" {
		return c
	}
	blank := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= 0x80 {
			return 'x'
		}
		return r
	}, password)
	c.First = secret.Value(strings.ReplaceAll(c.First.Reveal(), password, blank))
	c.Password = secret.Value(blank)
	return c
}
