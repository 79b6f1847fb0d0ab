package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"portico/backend"
	"portico/health"
)

// copyHealth marks copies of databases as Failed, and as well again, by what probes find. It is safe for concurrent
// use.
type copyHealth struct {
	active *backend.ActiveManager
	log    *nodeLog
	// most says whether most nodes of the site cannot read a copy, of which this one has found own
	most func(target string, own bool) (unreadable bool, others []string)

	mu    sync.Mutex      // guards what follows
	inRow map[string]int  // how often in a row the mail of a copy that is not active could not be read, by target
	bad   map[string]bool // those of which that is so as often as was asked for
}

func failure(database, server, reason string) backend.Failure {
	return backend.Failure{Database: database, Server: server, Since: time.Now().UTC().Truncate(time.Millisecond),
		Reason: reason}
}

// read ends the state Failed of a copy, because a probe has read a mailbox on it, unless most nodes cannot.
func (c *copyHealth) read(ctx context.Context, database, server string) {
	target := health.CopyTarget(database, server)
	c.note(target, 0, nil) // if the copy is active, ImapCopyTestProbe does not run there
	if _, failed := c.active.Failed(database, server); !failed {
		return
	}
	if unreadable, _ := c.most(target, false); unreadable {
		return
	}
	was, err := c.active.ClearFailed(ctx, database, server)
	switch {
	case err != nil:
		c.log.report("cannot clear the Failed state of a copy", err)
	case was:
		c.log.Warn().Str("database", database).Str("server", server).
			Msg("copy of a database is no longer Failed: a probe has read a mailbox on it")
	}
}

// note records the result of a probe. If that is a failure to read the mail, it returns how many there were in a row,
// else 0. From failures on, the other nodes are told.
func (c *copyHealth) note(target string, failures int, err error) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inRow == nil {
		c.inRow, c.bad = make(map[string]int), make(map[string]bool)
	}
	var failed *health.Failure
	switch {
	case err == nil, errors.Is(err, health.ErrNoSample):
		delete(c.inRow, target)
		delete(c.bad, target)
	case errors.As(err, &failed) && failed.Dependency == health.InformationStore:
		if c.inRow[target]++; c.inRow[target] >= failures {
			c.bad[target] = true
		}
		return c.inRow[target]
	}
	return 0
}

// unreadable lists the copies whose mail this node cannot read.
func (c *copyHealth) unreadable() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.bad))
}

// watch returns a probe that also marks its copy as Failed, after a number of failures in a row to read the mail. In a
// site, most nodes that look must have found that.
func (c *copyHealth) watch(target string, failures int, probe func(context.Context,
	*health.Run) error) func(context.Context, *health.Run) error {
	database, server := health.CutCopy(target)
	return func(ctx context.Context, run *health.Run) error {
		err := probe(ctx, run)
		if run.Account != "" {
			return err
		}
		n := c.note(target, failures, err)
		if n == 0 || n < failures {
			return err
		}
		unreadable, others := c.most(target, true)
		switch {
		case unreadable:
			c.fail(ctx, failure(database, server, err.Error()))
		case n == failures:
			c.log.Warn().Str("database", database).Str("server", server).Strs("nodes", others).
				Str("error", err.Error()).
				Msg("copy of a database cannot be read from this node, but from others: it is not marked as Failed")
		}
		return err
	}
}

// fail marks a copy as Failed.
func (c *copyHealth) fail(ctx context.Context, f backend.Failure) {
	newly, err := c.active.Fail(context.WithoutCancel(ctx), f)
	switch {
	case err != nil:
		c.log.report("cannot mark a copy as Failed", err)
	case newly:
		logFailedCopy(c.log, f)
	}
}

// logFailedCopy logs that a copy has become Failed, after that is stored.
func logFailedCopy(log *nodeLog, f backend.Failure) {
	log.Error().Str("database", f.Database).Str("server", f.Server).Str("reason", f.Reason).
		Msg("copy of a database is Failed: no database moves there until a probe reads it, or portico database " +
			"copy resume")
}
