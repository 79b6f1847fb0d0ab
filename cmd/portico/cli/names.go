package cli

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"portico/health"
	"portico/health/admin"
)

// Names that operators type. All commands look up users, mailbox servers and IMAP commands here, so that a name means
// the same everywhere. They refuse a filter that can match nothing.

// user returns the canonical form of a user name, as a sign-in does.
func (a *apiCommand) user(ctx context.Context, typed string) (admin.UserName, error) {
	var name admin.UserName
	err := a.get(ctx, admin.PathOf(admin.PathUserName, typed), &name)
	return name, err
}

// existing looks a user up, and refuses one that the directory does not know. If no directory can say, it writes a
// note.
func (a *apiCommand) existing(ctx context.Context, typed string) (string, error) {
	name, err := a.user(ctx, typed)
	if err != nil {
		return "", err
	}
	switch name.Standing {
	case admin.StandingUnknown:
		return "", admin.NoSuchUser(typed, name.User)
	case admin.StandingUndecided:
		if name.NoDirectory {
			a.note("cannot check whether user %s exists: no directory is configured", name.User)
			break
		}
		a.note("cannot check whether user %s exists: the directory does not answer", name.User)
	}
	return name.User, nil
}

// past looks up a user who may have left the directory.
func (a *apiCommand) past(ctx context.Context, typed string) (string, error) {
	name, err := a.user(ctx, typed)
	if err == nil && name.Standing == admin.StandingUnknown {
		a.note("the directory does not know %s", name.User)
	}
	return name.User, err
}

// checkNames refuses an unknown mailbox server or IMAP command. further are the commands that the protocol log has
// besides IMAP's.
func (a *apiCommand) checkNames(ctx context.Context, server, command string, further ...string) error {
	if server == "" && command == "" {
		return nil
	}
	var names admin.Names
	if err := a.get(ctx, admin.PathNames, &names); err != nil {
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

// checkTarget refuses a mailbox server or database that is not configured; what is "server" or "database". The error
// says if the name is of the other kind.
func (a *apiCommand) checkTarget(ctx context.Context, what, name string) error {
	var names admin.Names
	if err := a.get(ctx, admin.PathNames, &names); err != nil {
		return err
	}
	kind, known, other, others := "mailbox server", names.Servers, "a database", names.Databases
	if what == "database" {
		kind, known, other, others = "database", names.Databases, "a mailbox server", names.Servers
	}
	switch {
	case slices.Contains(known, name):
		return nil
	case slices.Contains(others, name):
		return fmt.Errorf("%w; %s is %s", admin.NoSuch(kind, name, known), name, other)
	}
	return admin.NoSuch(kind, name, known)
}

// sessionFilter returns a function that reports whether a session matches, and one that explains an empty result.
func (a *apiCommand) sessionFilter(ctx context.Context, which admin.SessionFilter) (fits func(admin.SessionState) bool,
	nobody func() error, err error) {
	if err := a.checkNames(ctx, which.Server, ""); err != nil {
		return nil, nil, err
	}
	if err := checkSessionID(which.Session); err != nil {
		return nil, nil, err
	}
	name, meant := admin.UserName{}, which
	if which.User != "" {
		if name, err = a.user(ctx, which.User); err != nil {
			return nil, nil, err
		}
		meant.User = name.User
	}
	test, err := meant.Test()
	if err != nil {
		return nil, nil, fmt.Errorf("--ip: %w", err)
	}
	fits = func(s admin.SessionState) bool {
		client, _ := netip.ParseAddrPort(s.Remote)
		return test(s.ID, s.User, s.Server, client.Addr())
	}
	nobody = func() error {
		switch {
		case which.Session != "":
			return admin.Unknown(fmt.Errorf("session %s is not open; for closed sessions try portico log show "+
				"--session %s", which.Session, which.Session))
		case name.Standing == admin.StandingUnknown:
			return admin.NoSuchUser(which.User, name.User)
		case name.User != "":
			a.note("%s has no session with this ID", name.User)
		}
		return nil
	}
	return fits, nobody, nil
}

// checkSessionID refuses a text that cannot be a session's ID. It accepts "".
func checkSessionID(id string) error {
	if id == "" || len(id) == 16 && strings.Trim(strings.ToLower(id), "0123456789abcdef") == "" {
		return nil
	}
	return fmt.Errorf("--session %q: a session ID has 16 hexadecimal digits", id)
}

// sessionKinds returns the fields of sessions that have a closed set of values.
func (a *apiCommand) sessionKinds(ctx context.Context) map[string]kind {
	known := func(of func(admin.Names) []string) func() ([]string, error) {
		return func() ([]string, error) {
			var names admin.Names
			err := a.get(ctx, admin.PathNames, &names)
			return of(names), err
		}
	}
	return map[string]kind{
		"server":   oneOf("mailbox server", known(func(n admin.Names) []string { return n.Servers })),
		"database": oneOf("database", known(func(n admin.Names) []string { return n.Databases })),
		"command":  oneOf("command", known(func(n admin.Names) []string { return n.Commands })),
		"age":      seconds, "for": seconds, "silent": seconds, "waiting": plainNumber, "open": plainNumber,
		"commands": plainNumber,
		"user": func(operator, value string) (string, error) {
			if operator != "-eq" && operator != "-ne" {
				return value, nil
			}
			return a.existing(ctx, value)
		},
	}
}

// monitorKinds returns the fields of monitors that have a closed set of values: those of existing monitors, and all
// states.
func (a *apiCommand) monitorKinds(ctx context.Context) map[string]kind {
	kinds := make(map[string]kind)
	for _, name := range []string{"Server", "Name", "TargetResource", "HealthSetName", "ServerComponent"} {
		kinds[strings.ToLower(name)] = oneOf(name, func() (all []string, err error) {
			var rows []admin.MonitorRow
			err = a.get(ctx, admin.PathMonitors, &rows)
			for _, row := range rows {
				if value := monitorFields[name](row); value != "" && !slices.Contains(all, value) {
					all = append(all, value)
				}
			}
			return all, err
		})
	}
	kinds["state"] = oneOf("State", func() ([]string,
		error) {
		return []string{"Online", "Offline", "NotApplicable"}, nil
	})
	kinds["alertvalue"] = oneOf("AlertValue", func() ([]string, error) { return health.AlertValues(), nil })
	return kinds
}
