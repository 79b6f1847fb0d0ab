package backend

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"portico/backend/directory"
)

// authentication is how users prove who they are, and how Portico proves it to mailbox servers. Only common and offered
// change.
type authentication struct {
	mode     directory.Mode                   // of users of whom the directory says none
	verifier directory.Verifier               // nil where passwords are left to the mailbox servers
	master   *Master                          // nil for none
	verified []string                         // mechanisms of mode master
	offered  *OfferedMechanisms               // by the mailbox servers; guards itself
	common   atomic.Pointer[commonMechanisms] // as mechanisms returned it last
}

// modeOf returns how a user signs in.
func (a *authentication) modeOf(entry directory.Entry) directory.Mode {
	if entry.Mode == directory.ModeDefault {
		return a.mode
	}
	return entry.Mode
}

// prove returns whose password q.Password is, or whose certificate was verified.
func (a *authentication) prove(ctx context.Context, q directory.Query) (owner string, err error) {
	switch {
	case q.Certificate:
		return q.Login, nil
	case a.verifier == nil:
		return "", directory.Unavailable("verify", errors.New("nothing is configured to verify passwords"))
	}
	if owner, err = a.verifier.Verify(ctx, q); err != nil {
		return "", err
	}
	if owner, err = Canonical(owner, ""); err != nil {
		return "", directory.Unavailable("verify", fmt.Errorf("impossible user name: %w", err))
	}
	return owner, nil
}

// Mechanisms returns the SASL mechanisms that every user can sign in by; LOGIN is allowed if PLAIN is. The caller must
// not change the list.
func (t *Tier) Mechanisms() []string { return t.authentication.mechanisms(t.topology.servers) }

func (a *authentication) mechanisms(servers map[string]*mailboxServer) []string {
	if a.mode == directory.ModeMaster {
		return a.verified
	}
	now := a.offered.common(servers, a.common.Load())
	a.common.Store(now)
	return now.names
}
