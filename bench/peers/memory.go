//go:build unix

package peers

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Of the memory rows.
const (
	idleSessions = 4000 // enough that what a process needs once does not count for much
	// as many, or what a process needs but once would count for four times as much in the one row
	fetchSessions = 4000
	rest          = 5 * time.Second // after which a session counts as idle
	fetches       = 5               // of a mebibyte each
	warmUp        = 16              // sessions that come and go together before the first look
	warmUps       = 50              // times
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

// memoryRows measures what an idle session takes, fresh and after it fetched 5 MB, in processes that have just
// started: a heap that has been large hides what is added. Portico fetches in each round; peers in the first alone, as
// their figure is information.
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
			idle, err := sessionMemory(s, st, way, idleSessions, 0)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", st.name, err)
			}
			fresh.add(st.name, idle)
			if st.name != portico && (round > 0 || st.slowTLS && w.clientTLS) {
				continue
			}
			if idle, err = sessionMemory(s, st, way, fetchSessions, fetches); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", st.name, err)
			}
			fetched.add(st.name, idle)
		}
	}
	fetched.bar = 1.2 * spreadOf(fresh.values[portico]).median
	return fresh, fetched, nil
}

// sessionMemory returns the KiB that each of n sessions takes of a fresh process, idle after a NOOP and a number of
// fetches.
func sessionMemory(s *site, st starter, way, n, fetches int) (float64, error) {
	p, err := st.start(s, memoryWays[way].server)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	var config *tls.Config
	if memoryWays[way].clientTLS {
		config = s.client
	}
	before, err := afterWork(p, config, fetches)
	if err != nil {
		return 0, err
	}
	clients, err := signInMany(p.address(config != nil), config, n)
	defer closeAll(clients)
	if err == nil {
		err = eachOfFew(clients, func(c *client) error { return c.beIdle(fetches) })
	}
	if err != nil {
		return 0, err
	}
	time.Sleep(rest)
	now, err := pss(family(p.pid()))
	return float64(now-before) / 1024 / float64(n), err
}

// afterWork returns what a process takes in bytes when sessions have come and gone, few at a time: what it needs but
// once is in it then, such as what a collector of garbage needs for its books, and it has not been large. The last of
// them fetch.
func afterWork(p *Peer, config *tls.Config, fetches int) (int64, error) {
	for i := range warmUps {
		each := 0
		if i == warmUps-1 {
			each = fetches
		}
		clients, err := signInMany(p.address(config != nil), config, warmUp)
		if err == nil {
			err = eachOfFew(clients, func(c *client) error { return c.beIdle(each) })
		}
		closeAll(clients)
		if err != nil {
			return 0, err
		}
	}
	time.Sleep(rest)
	return pss(family(p.pid()))
}

// beIdle does what a session has done before it is idle.
func (c *client) beIdle(fetches int) error {
	err := errors.Join(c.do("a NOOP\r\n"), c.do(fmt.Sprintf("a SELECT SIZE%d\r\n", mebibyte)))
	if err == nil {
		err = c.repeat("a UID FETCH 1 BODY.PEEK[]\r\n", fetches)
	}
	return err
}
