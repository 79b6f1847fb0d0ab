package backend

import (
	"context"
	"slices"
)

// Standby returns, for each database that is active on a server and could be moved away now, the server that it would
// move to. A database that is moving, or whose other copies are all unfit, has no entry. Nothing is moved.
func (t *Tier) Standby(ctx context.Context, server string, o MoveOptions) map[string]string {
	found := make(map[string]string)
	up := make(map[string]bool) // whether a server is up, of those that were checked
	for _, copies := range byDatabase(t.active.Copies()) {
		active := slices.IndexFunc(copies, func(c CopyState) bool { return c.Active })
		if active < 0 || copies[active].Server != server || copies[active].Lost || copies[active].Moving {
			continue
		}
		for _, c := range others(copies, active) {
			if t.barred(c, o) != nil {
				continue
			}
			if _, asked := up[c.Server]; !asked {
				up[c.Server] = t.checkQuickly(ctx, c.Server) == nil
			}
			if up[c.Server] {
				found[c.Database] = c.Server
				break
			}
		}
	}
	return found
}
