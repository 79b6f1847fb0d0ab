package node

import (
	"time"

	"portico/health"
)

// waiting are the sessions of each mailbox server whose oldest command waits for it.
type waiting map[string]wait

type wait struct {
	Open int           `json:"open"`
	Age  time.Duration `json:"age"` // of these commands together, in nanoseconds
}

// waiting are those of this process.
func (c *clientSide) waiting() waiting {
	all := make(waiting)
	for _, session := range c.server.Sessions() {
		if session.Oldest > 0 {
			w := all[session.Server]
			all[session.Server] = wait{w.Open + 1, w.Age + session.Oldest}
		}
	}
	return all
}

// load is what was counted of each mailbox server, for the counter checks.
func (c *carriedSessions) load() []health.Load {
	byServer := make(map[string]*health.Load)
	at := func(server string) *health.Load {
		if byServer[server] == nil {
			byServer[server] = &health.Load{Server: server}
		}
		return byServer[server]
	}
	for server, stats := range c.clients.server.Stats().Servers {
		if server == "" { // before sign-in
			continue
		}
		l := at(server)
		l.Queued = stats.Queued
		for _, h := range stats.Commands {
			if h != nil {
				l.Finished += h.Count
				l.Spent += time.Duration(h.Sum)
			}
		}
	}
	for _, of := range append(c.earlier.waiting(), c.clients.waiting()) {
		for server, w := range of {
			l := at(server)
			l.Open += w.Open
			l.Age += w.Age
		}
	}
	all := make([]health.Load, 0, len(byServer))
	for _, l := range byServer {
		all = append(all, *l)
	}
	return all
}
