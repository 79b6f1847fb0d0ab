package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"portico/health/admin"
	"portico/protolog"
)

// Names that operators type. All commands find users, mailbox servers and commands here, so that one name finds the same everywhere, and a filter that
// can match nothing is refused.

// user finds the one form of a user name, as a sign-in would.
func (a *asking) user(ctx context.Context, typed string) (admin.UserName, error) {
	var name admin.UserName
	err := a.get(ctx, "/api/v1/users/"+url.PathEscape(typed)+"/name", &name)
	return name, err
}

// existing finds a user, and refuses one that the directory does not know. Where nobody can say, people are told.
func (a *asking) existing(ctx context.Context, typed string) (string, error) {
	name, err := a.user(ctx, typed)
	if err != nil {
		return "", err
	}
	switch name.Standing {
	case admin.StandingUnknown:
		return "", noSuchUser(typed, name.User)
	case admin.StandingUndecided:
		a.note("nobody can say whether there is a user %s: no directory answers", name.User)
	}
	return name.User, nil
}

// past finds a user who may have left the directory.
func (a *asking) past(ctx context.Context, typed string) (string, error) {
	name, err := a.user(ctx, typed)
	if err == nil && name.Standing == admin.StandingUnknown {
		a.note("the directory does not know %s", name.User)
	}
	return name.User, err
}

func noSuchUser(typed, canonical string) error {
	return admin.Unknown(fmt.Errorf("there is no user %s: the directory does not know %s", typed, canonical))
}

// checkNames refuses a mailbox server or an IMAP command that there is not. Further commands are those that a protocol log has beside IMAP's.
func (a *asking) checkNames(ctx context.Context, server, command string, further ...string) error {
	if server == "" && command == "" {
		return nil
	}
	var names admin.Names
	if err := a.get(ctx, "/api/v1/names", &names); err != nil {
		return err
	}
	if server != "" && !slices.Contains(names.Servers, server) {
		return admin.NoSuch("mailbox server", server, names.Servers)
	}
	known := append(names.Commands, further...)
	if command != "" && !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, command) }) {
		return admin.NoSuch("command", strings.ToUpper(command), known)
	}
	return nil
}

// sessionFilter returns a function that says whether a session is meant, and one that says why none may be.
func (a *asking) sessionFilter(ctx context.Context, which admin.SessionFilter) (fits func(admin.SessionState) bool, nobody func() error, err error) {
	if err := a.checkNames(ctx, which.Server, ""); err != nil {
		return nil, nil, err
	}
	if which.Session != "" && !isSessionID(which.Session) {
		return nil, nil, fmt.Errorf("--session %q: a session's ID has 16 hexadecimal digits", which.Session)
	}
	var network netip.Prefix
	if which.IP != "" {
		if network, err = protolog.ParseNetwork(which.IP); err != nil {
			return nil, nil, fmt.Errorf("--ip: %w", err)
		}
	}
	name := admin.UserName{}
	if which.User != "" {
		if name, err = a.user(ctx, which.User); err != nil {
			return nil, nil, err
		}
	}
	fits = func(s admin.SessionState) bool {
		client, err := netip.ParseAddrPort(s.Remote)
		return (name.User == "" || s.User == name.User) && (which.Server == "" || s.Server == which.Server) &&
			(which.Session == "" || strings.EqualFold(s.ID, which.Session)) &&
			(!network.IsValid() || err == nil && network.Contains(client.Addr().Unmap().WithZone("")))
	}
	nobody = func() error {
		switch {
		case which.Session != "":
			return admin.Unknown(fmt.Errorf("there is no session %s now; portico log show --session %s may have its past", which.Session, which.Session))
		case name.Standing == admin.StandingUnknown:
			return noSuchUser(which.User, name.User)
		case name.User != "":
			a.note("%s has no such session", name.User)
		}
		return nil
	}
	return fits, nobody, nil
}

// isSessionID says whether a text can be a session's ID.
func isSessionID(text string) bool {
	return len(text) == 16 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}
