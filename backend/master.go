package backend

import (
	"errors"

	"portico/backend/directory"
	"portico/backend/secret"
)

// Master is Portico's own credential, which opens every mailbox. Portico uses it for users whom it has verified.
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

// errNotVerified: without this check, anybody could open every mailbox.
var errNotVerified = errors.New("the master credential is only for verified users")

// checkMaster refuses options that would admit no user, or everybody.
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
