package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"portico/backend"
	"portico/health"
	"portico/health/admin"
)

// unreadable says why the mail of the copy on a server cannot be read, if the monitor of the database says so.
func (s *service) unreadable(database, server string) (f backend.Failure, unreadable bool) {
	if last := health.Unreadable(database, server, s.health.Monitors()); last != nil {
		return failure(database, server, last.Err), true
	}
	return f, false
}

func failure(database, server, reason string) backend.Failure {
	return backend.Failure{Database: database, Server: server, Since: time.Now().UTC().Truncate(time.Millisecond),
		Reason: reason}
}

// copyRead ends a copy's being Failed: a probe has read a mailbox on it.
func (s *service) copyRead(ctx context.Context, database, server string) {
	if _, failed := s.active.Failed(database, server); !failed {
		return
	}
	was, err := s.active.Resume(ctx, database, server)
	switch {
	case err != nil:
		s.reported("cannot clear the Failed state of a copy", err)
	case was:
		s.log.Warn().Str("database", database).Str("server", server).
			Msg("copy of a database is no longer Failed: a probe has read a mailbox on it")
	}
}

// failingCopies counts, for each copy that is not active, how often in a row its mail could not be read.
type failingCopies struct {
	mu    sync.Mutex // guards inRow
	inRow map[[2]string]int
}

// note takes the end of a probe in, and returns how many in a row have failed because of the store.
func (f *failingCopies) note(database, server string, err error) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inRow == nil {
		f.inRow = make(map[[2]string]int)
	}
	of := [2]string{database, server}
	var failed *health.Failure
	switch {
	case err == nil:
		delete(f.inRow, of)
	case errors.As(err, &failed) && failed.Dependency == health.InformationStore:
		f.inRow[of]++
	}
	return f.inRow[of]
}

// watchCopy has a copy be Failed when its probe could not read the mail so often in a row.
func (s *service) watchCopy(database, server string, failures int, probe func(context.Context,
	*health.Run) error) func(context.Context, *health.Run) error {
	return func(ctx context.Context, run *health.Run) error {
		err := probe(ctx, run)
		if run.Account != "" || errors.Is(err, health.ErrNoSample) {
			return err
		}
		if n := s.failing.note(database, server, err); n > 0 && n >= failures {
			s.copyFailed(ctx, failure(database, server, err.Error()))
		}
		return err
	}
}

// unusable says what nothing moves to on a mailbox server, and why: what recovery keeps from being used, though users
// are served elsewhere.
func (s *service) unusable(server string) (all []string) {
	if why := s.recovery.Holds(server); why != "" {
		all = append(all, "activation is blocked on "+server+": "+why)
	}
	for _, copied := range s.active.Copies() {
		if copied.Server == server && copied.Failed != "" && !copied.Active {
			all = append(all, fmt.Sprintf("the copy of %s on %s is Failed: %s", copied.Database, server,
				copied.Failed))
		}
	}
	return all
}

// barred says why nothing moves to a mailbox server unless it is asked for by name, "" if something may.
func (s *service) barred(server string) string {
	var all []string
	for _, b := range s.active.Blockers(server) {
		word := "blocked by " + b.By
		if b.Who != "" {
			word += " (" + b.Who + ")"
		}
		if why := s.recovery.Holds(server); why != "" && b.By == byHealth {
			word += ": " + why
		}
		all = append(all, word)
	}
	if s.now().tier().Policy(server) == backend.BlockedByPolicy {
		all = append(all, "its activation policy is Blocked")
	}
	if err := s.serverFails(server); err != nil {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

// blocker is who blocks activation on a mailbox server. Of a block that recovery keeps, it names the monitor.
func (s *service) blocker(server string, b backend.Blocker) admin.Blocker {
	shown := admin.Blocker{By: b.By, Who: b.Who}
	if b.By != byHealth {
		return shown
	}
	shown.Monitor, shown.Why = s.recovery.Keeper(server), s.recovery.Holds(server)
	for _, m := range s.health.Monitors() {
		switch {
		case m.ID() != shown.Monitor:
		case !m.FlapsUntil.IsZero():
			shown.Why = fmt.Sprintf("it has been flapping since %s, and becomes Healthy at %s at the earliest",
				m.FlapsSince.UTC().Format(time.RFC3339), m.FlapsUntil.UTC().Format(time.RFC3339))
		case shown.Why == "":
			shown.Why = "it is " + m.Value.String()
		}
	}
	return shown
}

// copyFailed marks a copy.
func (s *service) copyFailed(ctx context.Context, f backend.Failure) {
	newly, err := s.active.Fail(context.WithoutCancel(ctx), f)
	switch {
	case err != nil:
		s.reported("cannot mark a copy as Failed", err)
	case newly:
		s.logFailed(f)
	}
}

// logFailed logs that a copy has become Failed, after that is stored.
func (s *service) logFailed(f backend.Failure) {
	s.log.Error().Str("database", f.Database).Str("server", f.Server).Str("reason", f.Reason).
		Msg("copy of a database is Failed: no database moves there until a probe reads it, or portico database " +
			"copy resume")
}
