package peers

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// row is one kind of work, whose cost is the proxy's CPU time.
type row struct {
	name     string
	unit     string
	tls      bool // between client and proxy
	sessions int
	prepare  string                    // a command that each session sends first
	units    float64                   // of work that a round does
	work     func(all []*client) error // one round
}

// mebibyte is the size of a large message; the sink's mailbox of that name has them.
const mebibyte = 1 << 20

// perGB is how many units a round of n messages of size bytes is, the unit being a gigabyte.
func perGB(n, size int) float64 { return float64(n) * float64(size) / 1e9 }

// loadRows are the rows whose work is commands of sessions that stay.
func loadRows() []row {
	noop := func(all []*client) error {
		return each(all, func(c *client) error { return c.repeat("a NOOP\r\n", 400) })
	}
	fetch := func(n int) func([]*client) error {
		return func(all []*client) error {
			return each(all, func(c *client) error { return c.repeat("a UID FETCH 1 BODY.PEEK[]\r\n", n) })
		}
	}
	const small = 5 << 10
	big := fmt.Sprintf("a SELECT SIZE%d\r\n", mebibyte)
	return []row{
		{"NOOP, plain", "us per command", false, 50, "", 50 * 400 / 1e6, noop},
		{"NOOP, client TLS", "us per command", true, 50, "", 50 * 400 / 1e6, noop},
		{"FETCH 5 KB, plain", "us per command", false, 50, fmt.Sprintf("a SELECT SIZE%d\r\n", small), 50 * 200 / 1e6, fetch(200)},
		{"FETCH 1 MB, plain", "s per GB", false, 8, big, perGB(8*40, mebibyte), fetch(40)},
		{"FETCH 1 MB, client TLS", "s per GB", true, 8, big, perGB(8*20, mebibyte), fetch(20)},
	}
}

// spread is what a measure was over all rounds.
type spread struct{ least, median, most float64 }

func spreadOf(values []float64) spread {
	slices.Sort(values)
	return spread{values[0], values[len(values)/2], values[len(values)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.least, s.most) }

// compare has the peers do a row's work in turns.
func compare(peers []*Peer, r row, config *tls.Config, rounds int) (map[string]spread, error) {
	if !r.tls {
		config = nil
	}
	sessions := make(map[string][]*client)
	for _, p := range peers {
		opened, err := signInMany(p.address(r.tls), config, r.sessions)
		defer closeAll(opened)
		if err == nil && r.prepare != "" {
			err = each(opened, func(c *client) error { return c.do(r.prepare) })
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		sessions[p.Name] = opened
	}
	return takeTurns(peers, rounds, func(p *Peer) (time.Duration, error) {
		return p.spentOn(func() error { return r.work(sessions[p.Name]) })
	}, r.units)
}

// takeTurns measures each peer in each round, in an order that changes, and divides by the units of work.
func takeTurns(peers []*Peer, rounds int, measure func(*Peer) (time.Duration, error), units float64) (map[string]spread, error) {
	values := make(map[string][]float64)
	for round := range rounds {
		for i := range peers {
			p := peers[(i+round)%len(peers)]
			spent, err := measure(p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			values[p.Name] = append(values[p.Name], spent.Seconds()/units)
		}
	}
	spreads := make(map[string]spread)
	for name, v := range values {
		spreads[name] = spreadOf(v)
	}
	return spreads, nil
}

// signIns measures what n new sessions cost; they end outside of the measure.
func signIns(peers []*Peer, n int, config *tls.Config, rounds int) (map[string]spread, error) {
	return takeTurns(peers, rounds, func(p *Peer) (time.Duration, error) {
		var opened []*client
		spent, err := p.spentOn(func() (err error) {
			opened, err = signInMany(p.address(config != nil), config, n)
			return err
		})
		closeAll(opened)
		return spent, err
	}, float64(n)/1e6)
}

// spentOn returns the CPU time that the peer spends while f runs.
func (p *Peer) spentOn(f func() error) (time.Duration, error) {
	before, err := cpuTime(p.pid())
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := cpuTime(p.pid())
	return after - before, err
}

// each runs f for all clients at once.
func each(all []*client, f func(*client) error) error {
	var work errgroup.Group
	for _, c := range all {
		work.Go(func() error { return f(c) })
	}
	return work.Wait()
}
