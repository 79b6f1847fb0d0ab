package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"portico/health"
	"portico/health/admin"
	"portico/health/catalogue"
	"portico/protolog"
)

// Names that operators type. All commands look up users, mailbox servers and IMAP commands here, so that a name means
// the same everywhere. They refuse a filter that can match nothing.

// user returns the canonical form of a user name, as a sign-in does. If the node that it asks does not know the user,
// another node may.
func (a *apiCommand) user(ctx context.Context, typed string) (admin.UserName, error) {
	var name admin.UserName
	path := admin.PathOf(admin.PathUserName, typed)
	if err := a.get(ctx, path, &name); err != nil || name.Standing != admin.StandingUnknown {
		return name, err
	}
	for _, other := range elsewhere[admin.UserName](ctx, a, path) {
		if other.answer.Standing == admin.StandingKnown {
			return other.answer, nil
		}
	}
	return name, nil
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
	unknown := names.Check(server, command, further...)
	if unknown == nil {
		return nil
	}
	for _, other := range elsewhere[admin.Names](ctx, a, admin.PathNames) {
		if other.answer.Check(server, command, further...) == nil {
			return nil
		}
	}
	return unknown
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

// checkSessionID refuses a text that cannot be a session's ID. It accepts "".
func checkSessionID(id string) error {
	if id == "" || len(id) == 16 && strings.Trim(strings.ToLower(id), "0123456789abcdef") == "" {
		return nil
	}
	return fmt.Errorf("%q is no session ID: that has 16 hexadecimal digits", id)
}

// parseWhere parses --where.
func parseWhere[Row any](fields admin.Fields[Row], text string, kinds map[string]admin.ValueKind) (admin.Conditions,
	error) {
	conditions, err := fields.Parse(text, kinds)
	if err != nil {
		return nil, fmt.Errorf("--where: %w", err)
	}
	return conditions, nil
}

// sessionKinds returns the fields of sessions whose values have another form than the rows, or name a user. Nodes check
// names of servers, databases and commands.
func (a *apiCommand) sessionKinds(ctx context.Context) map[string]admin.ValueKind {
	return map[string]admin.ValueKind{
		"age": seconds, "for": seconds, "busy": seconds, "silent": seconds, "waiting": plainNumber, "open": plainNumber,
		"commands": plainNumber,
		"user": func(operator, value string) (string, error) {
			if operator != "-eq" && operator != "-ne" {
				return value, nil
			}
			return a.existing(ctx, value)
		},
	}
}

// seconds is the kind of numbers that may be written as times.
func seconds(operator, value string) (string, error) {
	if _, err := strconv.ParseFloat(value, 64); err == nil || strings.HasSuffix(operator, "like") {
		return value, nil
	}
	d, err := parseTime(value)
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64), err
}

// plainNumber is the kind of numbers, which may have a percent sign.
func plainNumber(operator, value string) (string, error) {
	value = strings.TrimSuffix(value, "%")
	if _, err := strconv.ParseFloat(value, 64); err != nil && !strings.HasSuffix(operator, "like") {
		return "", fmt.Errorf("%q is not a number", value)
	}
	return value, nil
}

// monitorKinds returns the fields of monitors that have a closed set of values: those of existing monitors, and all
// states.
func (a *apiCommand) monitorKinds(ctx context.Context) map[string]admin.ValueKind {
	kinds := make(map[string]admin.ValueKind)
	for _, name := range []string{"Server", "Name", "TargetResource", "HealthSetName", "ServerComponent"} {
		kinds[strings.ToLower(name)] = admin.OneOf(name, func() (all []string, err error) {
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
	kinds["state"] = admin.OneOf("State", func() ([]string,
		error) {
		return []string{"Online", "Offline", "NotApplicable"}, nil
	})
	kinds["alertvalue"] = admin.OneOf("AlertValue", func() ([]string, error) { return health.AlertValues(), nil })
	return kinds
}

// fitsAny reports whether a pattern matches one of the names. It ignores case; * is any characters, as in all filters.
func fitsAny(pattern string, names ...string) bool {
	pattern = strings.ToLower(catalogue.Canonical(pattern))
	return slices.ContainsFunc(names, func(name string) bool { return protolog.Glob(pattern, strings.ToLower(name)) })
}
