package node

import (
	"context"
	"errors"
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

	mu    sync.Mutex        // guards inRow
	inRow map[[2]string]int // how often in a row the mail of a copy that is not active could not be read
}

func failure(database, server, reason string) backend.Failure {
	return backend.Failure{Database: database, Server: server, Since: time.Now().UTC().Truncate(time.Millisecond),
		Reason: reason}
}

// read ends the state Failed of a copy, because a probe has read a mailbox on it.
func (c *copyHealth) read(ctx context.Context, database, server string) {
	if _, failed := c.active.Failed(database, server); !failed {
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

// note records the result of a probe, and returns how many in a row have failed because of the store.
func (c *copyHealth) note(database, server string, err error) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inRow == nil {
		c.inRow = make(map[[2]string]int)
	}
	key := [2]string{database, server}
	var failed *health.Failure
	switch {
	case err == nil:
		delete(c.inRow, key)
	case errors.As(err, &failed) && failed.Dependency == health.InformationStore:
		c.inRow[key]++
	}
	return c.inRow[key]
}

// watch returns a probe that also marks its copy as Failed, after a number of failures in a row to read the mail.
func (c *copyHealth) watch(database, server string, failures int, probe func(context.Context,
	*health.Run) error) func(context.Context, *health.Run) error {
	return func(ctx context.Context, run *health.Run) error {
		err := probe(ctx, run)
		if run.Account != "" || errors.Is(err, health.ErrNoSample) {
			return err
		}
		if n := c.note(database, server, err); n > 0 && n >= failures {
			c.fail(ctx, failure(database, server, err.Error()))
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
