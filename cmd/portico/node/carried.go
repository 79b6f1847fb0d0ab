package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"portico/proxy"
	"portico/proxy/relay"
)

// carriedSessions are the signed-in sessions of this node: those of this process, and those of earlier ones that still
// carry some. It is safe for concurrent use.
type carriedSessions struct {
	clients *clientSide
	earlier *generations
}

// earlierTime bounds how long earlier processes may take to list sessions.
const earlierTime = 2 * time.Second

// list lists the sessions, in no order.
func (c *carriedSessions) list(ctx context.Context) []proxy.Session {
	ctx, cancel := context.WithTimeout(ctx, earlierTime)
	defer cancel()
	return slices.Concat(c.clients.server.Sessions(), askAll[proxy.Session](ctx, c.earlier, askSessions))
}

// slow lists the slowest commands of the last day, the slowest first.
func (c *carriedSessions) slow(ctx context.Context) []proxy.SlowCommand {
	ctx, cancel := context.WithTimeout(ctx, earlierTime)
	defer cancel()
	all := slices.Concat(c.clients.server.Slow(), askAll[proxy.SlowCommand](ctx, c.earlier, askSlow))
	slices.SortStableFunc(all, func(a, b proxy.SlowCommand) int { return cmp.Compare(b.Took, a.Took) })
	return all
}

// kick ends the sessions that fit, and returns them as they were before.
func (c *carriedSessions) kick(ctx context.Context, fits func(proxy.Session) bool) []proxy.Session {
	ended := c.clients.server.EndSessions(fits, relay.ReasonKicked)
	var names []string
	for _, s := range askAll[proxy.Session](ctx, c.earlier, askSessions) {
		if fits(s) {
			names = append(names, s.ID)
		}
	}
	if len(names) == 0 {
		return ended
	}
	return append(ended, askAll[proxy.Session](ctx, c.earlier, askKick, names...)...)
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

// endAll ends all sessions for this node's maintenance, those of this process spread over about d, and returns when
// none is left.
func (c *carriedSessions) endAll(d time.Duration) {
	c.earlier.do(askEndAll)
	c.clients.server.EndAll(d)
}
