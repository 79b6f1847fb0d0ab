//go:build unix

package peers

import (
	"crypto/tls"
	"fmt"
	"time"
)

// Of the memory rows.
const (
	idleSessions = 1000
	rest         = 3 * time.Second // after which a session counts as idle
	fetches      = 5               // of a mebibyte each
)

// memoryWays are how client and mailbox server are connected.
var memoryWays = []struct {
	name              string
	clientTLS, server bool
	bar               float64 // KiB
}{
	{"plain", false, false, 1.0},
	{"client TLS", true, false, 7},
	{"TLS on both sides", true, true, 12},
}

// memoryRows measures what an idle session takes, fresh and after it fetched 5 MB, in processes that have just started: a heap that
// has been large hides what is added. Portico fetches in each round; peers in the first alone, as their figure is information.
func memoryRows(s *site, all []starter, way, rounds int) (fresh, fetched *row, err error) {
	w := memoryWays[way]
	fresh = &row{name: "idle session, " + w.name, unit: "KiB", bar: w.bar, against: absolute}
	fetched = &row{name: "the same, each having fetched 5 MB", unit: "KiB", against: absolute}
	for round := range rounds {
		for i := range all {
			st := all[(i+round)%len(all)]
			if w.server && !st.serverTLS {
				continue
			}
			before, after, err := idleMemory(s, st, way, st.name == portico || round == 0 && !(st.slowTLS && w.clientTLS))
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", st.name, err)
			}
			fresh.add(st.name, before)
			if after > 0 {
				fetched.add(st.name, after)
			}
		}
	}
	fetched.bar = 1.2 * spreadOf(fresh.values[portico]).median
	return fresh, fetched, nil
}

// idleMemory returns the KiB of a session in a fresh process, and after fetching unless that was not asked for.
func idleMemory(s *site, st starter, way int, fetch bool) (fresh, fetched float64, err error) {
	p, err := st.start(s, memoryWays[way].server)
	if err != nil {
		return 0, 0, err
	}
	defer p.Stop()
	time.Sleep(time.Second)
	empty, err := pss(family(p.pid()))
	if err != nil {
		return 0, 0, err
	}
	var config *tls.Config
	if memoryWays[way].clientTLS {
		config = s.client
	}
	clients, err := signInMany(p.address(config != nil), config, idleSessions)
	defer closeAll(clients)
	if err != nil {
		return 0, 0, err
	}
	measure := func(command string, n int) (float64, error) {
		if err := eachOfFew(clients, func(c *client) error { return c.repeat(command, n) }); err != nil {
			return 0, err
		}
		time.Sleep(rest)
		now, err := pss(family(p.pid()))
		return float64(now-empty) / 1024 / idleSessions, err
	}
	if fresh, err = measure("a NOOP\r\n", 1); err != nil || !fetch {
		return fresh, 0, err
	}
	if _, err := measure(fmt.Sprintf("a SELECT SIZE%d\r\n", mebibyte), 1); err != nil {
		return 0, 0, err
	}
	fetched, err = measure("a UID FETCH 1 BODY.PEEK[]\r\n", fetches)
	return fresh, fetched, err
}
