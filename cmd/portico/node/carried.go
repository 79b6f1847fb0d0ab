package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/proxy"
	"portico/proxy/relay"
)

// carriedSessions are the signed-in sessions of this node: those of this process, and those of earlier ones that still
// carry some. It is safe for concurrent use.
type carriedSessions struct {
	clients *clientSide
	earlier *generations
}

// How long earlier processes may take to list sessions, and to end some.
const (
	earlierTime = 2 * time.Second
	kickTime    = 10 * time.Second
)

// list lists the sessions, in no order. Those of an earlier process that does not answer are missing: see rows of
// generations.
func (c *carriedSessions) list(ctx context.Context) []proxy.Session {
	ctx, cancel := context.WithTimeout(ctx, earlierTime)
	defer cancel()
	earlier, _ := askAll[proxy.Session](ctx, c.earlier, askSessions)
	return slices.Concat(c.clients.server.Sessions(), earlier)
}

// slow lists the slowest commands of the last day, the slowest first.
func (c *carriedSessions) slow(ctx context.Context) []proxy.SlowCommand {
	ctx, cancel := context.WithTimeout(ctx, earlierTime)
	defer cancel()
	earlier, _ := askAll[proxy.SlowCommand](ctx, c.earlier, askSlow)
	all := slices.Concat(c.clients.server.Slow(), earlier)
	slices.SortStableFunc(all, func(a, b proxy.SlowCommand) int { return cmp.Compare(b.Took, a.Took) })
	return all
}

// kick ends the sessions that fit, and returns them as they were before. If an earlier process does not answer, the
// error says so: its sessions may go on.
func (c *carriedSessions) kick(ctx context.Context, fits func(proxy.Session) bool) ([]proxy.Session, error) {
	ended := c.clients.server.EndSessions(fits, relay.ReasonKicked)
	asked, cancel := context.WithTimeout(ctx, earlierTime)
	defer cancel()
	earlier, err := askAll[proxy.Session](asked, c.earlier, askSessions)
	var names []string
	for _, s := range earlier {
		if fits(s) {
			names = append(names, s.ID)
		}
	}
	if len(names) > 0 {
		kicking, cancel := context.WithTimeout(ctx, kickTime)
		defer cancel()
		kicked, failed := askAll[proxy.Session](kicking, c.earlier, askKick, names...)
		ended, err = append(ended, kicked...), errors.Join(err, failed)
	}
	if err != nil {
		err = admin.Of(admin.KindUnavailable, fmt.Errorf("%s ended; the rest may go on: %w; it is killed with its "+
			"sessions if it stays silent (service generations)", table.Counted(len(ended), "session"), err))
	}
	return ended, err
}

// endDatabase ends the sessions of a database that moves, those of earlier processes first, and returns when none is
// left.
func (c *carriedSessions) endDatabase(database string) {
	c.earlier.do(askEndDatabase, database)
	c.clients.endDatabase(database)
}

// endUser ends the sessions of a user who moves, those of earlier processes first, and returns when none is left.
func (c *carriedSessions) endUser(user string) {
	c.earlier.do(askEndUser, user)
	c.clients.endUser(user)
}

// endUsers ends the sessions of those users of a database whom the change of a canary concerns, and returns when none
// is left. Of earlier processes it ends all of the database.
func (c *carriedSessions) endUsers(database string, concerned func(user string) bool) {
	c.earlier.do(askEndDatabase, database)
	c.clients.server.EndUsers(database, concerned, moveSpread)
}

// endAll ends all sessions for this node's maintenance, those of this process spread over about d, and returns when
// none is left.
func (c *carriedSessions) endAll(d time.Duration) {
	c.earlier.do(askEndAll)
	c.clients.server.EndAll(d)
}
