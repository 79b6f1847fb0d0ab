package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"portico/backend"
	"portico/health/admin"
)

// databasesAPI implements admin.Databases.
type databasesAPI struct{ s *service }

// Databases implements admin.Databases.
func (c databasesAPI) Databases(ctx context.Context) []admin.Copy {
	answers := c.s.current().tier().RecentChecks(ctx)
	var all []admin.Copy
	for _, copied := range c.s.mailbox.active.Copies() {
		of := admin.Copy{CopyState: copied, Answer: answers[copied.Server]}
		if !copied.Active {
			of.Barred = c.s.recovery.barred(copied.Server)
		}
		all = append(all, of)
	}
	return all
}

// MoveDatabase implements admin.Databases.
func (c databasesAPI) MoveDatabase(ctx context.Context, database, server string, force bool) (change admin.Change,
	err error) {
	var failed error
	_, err = c.s.moves.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		from, _ := c.s.mailbox.active.Active(database)
		change = admin.Change{What: "active copy of " + database, Was: from, Now: server}
		o.Force = force
		failed = c.s.current().tier().Move(ctx, database, server, o)
		return []backend.MoveResult{{Database: database, From: from, To: server, Err: failed}}
	})
	if errors.Is(failed, backend.ErrUnknownName) ||
		errors.Is(failed, backend.ErrNoCopy) && c.s.current().known(server) != nil {
		return change, c.noSuchCopy(database, server)
	}
	if errors.Is(failed, backend.ErrFailed) {
		return change, fmt.Errorf("nothing has changed: %w; if the copy is intact, run `portico database copy "+
			"resume %s %s`, or add --force", failed, database, server)
	}
	if errors.Is(failed, backend.ErrNoAnswer) {
		return change, fmt.Errorf("nothing has changed: %w; to move it anyway, add --force", failed)
	}
	return change, errors.Join(err, failed)
}

// ResumeCopy implements admin.Databases.
func (c databasesAPI) ResumeCopy(ctx context.Context, database, server string) (was bool, err error) {
	was, err = c.s.mailbox.active.ClearFailed(ctx, database, server)
	if errors.Is(err, backend.ErrNoCopy) && c.s.current().known(server) == nil {
		return false, admin.Unknown(err)
	}
	if errors.Is(err, backend.ErrUnknownName) || errors.Is(err, backend.ErrNoCopy) {
		return false, c.noSuchCopy(database, server)
	}
	if was {
		c.s.log.Warn().Str("database", database).Str("server", server).Msg("copy of a database resumed by an operator")
	}
	return was, err
}

// Rebalance implements admin.Databases.
func (c databasesAPI) Rebalance(ctx context.Context) ([]backend.MoveResult, error) {
	return c.s.moves.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		return c.s.current().tier().Rebalance(ctx, o)
	})
}

// noSuchCopy says which name of a move is wrong, and whether the two are swapped.
func (c databasesAPI) noSuchCopy(database, server string) error {
	names := c.s.names()
	switch {
	case slices.Contains(names.Servers, database) && slices.Contains(names.Databases, server):
		return admin.Unknown(fmt.Errorf("%s is a mailbox server and %s a database: write the database first, "+
			"as in %s %s", database, server, server, database))
	case !slices.Contains(names.Databases, database):
		return admin.NoSuch("database", database, names.Databases)
	case !slices.Contains(names.Servers, server):
		return admin.NoSuch("mailbox server", server, names.Servers)
	}
	var copies []string
	for _, copied := range c.s.mailbox.active.Copies() {
		if copied.Database == database {
			copies = append(copies, copied.Server)
		}
	}
	return admin.NoSuch("copy of "+database+" on", server, copies)
}
