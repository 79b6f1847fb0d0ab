//go:build unix

package peers

import (
	"crypto/tls"
	"fmt"
	"maps"
	"time"
)

// load is one kind of work of sessions that stay. Its cost is the proxy's CPU time.
type load struct {
	name, unit string
	bar        float64
	tls        bool // between client and proxy
	sessions   int
	prepare    string                    // a command that each session sends first
	units      float64                   // of work that a round does
	split      bool                      // note the shares of user and system time
	work       func(all []*client) error // one round
}

// mebibyte is the size of a large message; the sink's mailbox of that name has them.
const mebibyte = 1 << 20

// perGB is how many units a round of n messages of size bytes is, the unit being a gigabyte.
func perGB(n, size int) float64 { return float64(n) * float64(size) / 1e9 }

func loads() []load {
	noop := func(all []*client) error {
		return each(all, func(c *client) error { return c.repeat("a NOOP\r\n", 400) })
	}
	fetch := func(n int) func([]*client) error {
		return func(all []*client) error {
			return each(all, func(c *client) error { return c.repeat("a UID FETCH 1 BODY.PEEK[]\r\n", n) })
		}
	}
	const small = 5 << 10
	selectSmall, selectBig := fmt.Sprintf("a SELECT SIZE%d\r\n", small), fmt.Sprintf("a SELECT SIZE%d\r\n", mebibyte)
	const command, gigabyte = "us CPU per command", "s CPU per GB"
	return []load{
		{name: "NOOP, plain", unit: command, bar: 0.95, sessions: 50, units: 50 * 400 / 1e6, split: true, work: noop},
		{name: "NOOP, client TLS", unit: command, bar: 0.8, tls: true, sessions: 50, units: 50 * 400 / 1e6,
			work: noop},
		{name: "FETCH 1 MB, plain", unit: gigabyte, bar: 0.75, sessions: 8, prepare: selectBig,
			units: perGB(8*40, mebibyte), work: fetch(40)},
		{name: "FETCH 1 MB, client TLS", unit: gigabyte, bar: 0.75, tls: true, sessions: 8, prepare: selectBig,
			units: perGB(8*10, mebibyte), work: fetch(10)},
		{name: "FETCH 5 KB, plain", unit: command, bar: 0.9, sessions: 50, prepare: selectSmall, units: 50 * 400 / 1e6,
			work: fetch(400)},
	}
}

// open signs in the sessions of a load and prepares them. It returns those it has opened even when it fails.
func (l load) open(s *site, p *Peer) ([]*client, error) {
	var config *tls.Config
	if l.tls {
		config = s.client
	}
	opened, err := signInMany(p.address(l.tls), config, l.sessions)
	if err == nil && l.prepare != "" {
		err = each(opened, func(c *client) error { return c.do(l.prepare) })
	}
	return opened, err
}

// loadRow has the peers do a load in turns.
func loadRow(s *site, all []starter, l load, rounds int) (*row, error) {
	running, err := startAll(s, all)
	defer stopAll(running)
	if err != nil {
		return nil, err
	}
	sessions := make(map[string][]*client)
	for _, p := range running {
		opened, err := l.open(s, p)
		defer closeAll(opened)
		if err == nil {
			err = l.work(opened) // what is first is not measured
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		sessions[p.Name] = opened
	}
	r := &row{name: l.name, unit: l.unit, bar: l.bar, against: bestOfAll}
	total := make(map[string]usage)
	err = takeTurns(running, rounds, func(p *Peer) error {
		spent, _, err := p.spentOn(func() error { return l.work(sessions[p.Name]) })
		r.add(p.Name, spent.cpu.Seconds()/l.units)
		total[p.Name] = total[p.Name].plus(spent)
		return err
	})
	if l.split {
		r.note = "in user mode: " + inOrder(maps.Collect(func(yield func(string, string) bool) {
			for name, u := range total {
				if !yield(name, fmt.Sprintf("%.0f %%", 100*u.user.Seconds()/(u.user+u.system).Seconds())) {
					return
				}
			}
		}))
	}
	return r, err
}

// roundTrips is how many NOOPs a turn of roundTripRow has, each after the answer to the one before.
const roundTrips = 3000

// roundTripRow measures what a client on its own waits for an answer, which the sink gives at once.
func roundTripRow(s *site, all []starter, rounds int) (*row, error) {
	running, err := startAll(s, all)
	defer stopAll(running)
	if err != nil {
		return nil, err
	}
	r := &row{name: "round trip of one client's NOOP, plain, p50", unit: "us", bar: 0.9, against: bestOfAll}
	err = takeTurns(running, rounds, func(p *Peer) error {
		c, err := signIn(p.Plain, nil, "user")
		if err != nil {
			return err
		}
		defer c.conn.Close()
		took := make(waits, roundTrips)
		for i := range took {
			start := time.Now()
			if err := c.do("a NOOP\r\n"); err != nil {
				return err
			}
			took[i] = sample{start, time.Since(start)}
		}
		r.add(p.Name, 1000*took.quantile(0.5))
		return nil
	})
	return r, err
}

// takeTurns measures each peer in each round, in an order that changes.
func takeTurns(running []*Peer, rounds int, measure func(*Peer) error) error {
	for round := range rounds {
		for i := range running {
			p := running[(i+round)%len(running)]
			if err := measure(p); err != nil {
				return fmt.Errorf("%s, round %d: %w", p.Name, round+1, err)
			}
		}
	}
	return nil
}

// startAll starts peers; those that run are returned with an error too.
func startAll(s *site, all []starter) ([]*Peer, error) {
	var running []*Peer
	for _, st := range all {
		p, err := st.start(s, false)
		if err != nil {
			return running, fmt.Errorf("%s: %w", st.name, err)
		}
		running = append(running, p)
	}
	return running, nil
}

func stopAll(running []*Peer) {
	for _, p := range running {
		p.Stop()
	}
}
