package node

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"portico/configs"
	"portico/proxy"
)

// consequences says in sentences what another configuration would do to sessions and databases. renamed are databases
// that get another name.
func (c configAPI) consequences(ctx context.Context, running, next *configs.Config,
	renamed map[string]string) (all []string) {
	sessions := c.s.sessions.list(ctx)
	of := func(fits func(proxy.Session) bool) (n int) {
		for _, s := range sessions {
			if fits(s) {
				n++
			}
		}
		return n
	}
	all = listenerConsequences(running, next, of)
	for _, name := range slices.Sorted(maps.Keys(running.Databases)) {
		n := of(func(s proxy.Session) bool { return s.Database == name })
		_, stays := next.Databases[name]
		switch now, ok := renamed[name]; {
		case ok:
			all = append(all, fmt.Sprintf("database %s: is renamed to %s; its %d sessions end", name, now, n))
		case !stays:
			all = append(all, fmt.Sprintf("database %s: nobody signs in to it any more; its %d sessions continue", name,
				n))
		}
	}
	at := func(name string) int { return of(func(s proxy.Session) bool { return s.Server == name }) }
	for _, name := range slices.Sorted(maps.Keys(running.MailboxServers)) {
		if _, stays := next.MailboxServers[name]; !stays {
			all = append(all, fmt.Sprintf("mailbox server %s: nobody signs in to it any more; its %d sessions continue",
				name, at(name)))
		}
	}
	for _, moved := range movedServers(running, next) {
		all = append(all, fmt.Sprintf("mailbox server %s: sign-ins go to another address; its %d sessions stay where "+
			"they are", moved.name, at(moved.name)))
	}
	return all
}

// listenerConsequences are those for listeners. of counts sessions.
func listenerConsequences(running, next *configs.Config, of func(func(proxy.Session) bool) int) (all []string) {
	for _, l := range running.Listeners {
		if !slices.Contains(next.Listeners, l) {
			n := of(func(s proxy.Session) bool { return s.Listener == l.Address })
			all = append(all, fmt.Sprintf("listener %s, tls %s: takes no clients any more; its %d sessions continue",
				l.Address, l.TLS, n))
		}
	}
	for _, l := range next.Listeners {
		if !slices.Contains(running.Listeners, l) {
			all = append(all, fmt.Sprintf("listener %s, tls %s: takes clients", l.Address, l.TLS))
		}
	}
	return all
}
