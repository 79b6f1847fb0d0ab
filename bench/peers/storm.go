//go:build unix

package peers

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Of the storm of sign-ins.
const (
	stormRate    = 400.0 // new TLS sessions a second
	stormTime    = 4 * time.Second
	stormRamp    = 500 * time.Millisecond // before others' commands are looked at
	othersRate   = 500.0                  // NOOPs a second, of all other sessions
	others       = 50
	stormPending = 4000 // more sign-ins at once than this end the run
)

// storm is a process of its own: it signs in with new TLS sessions, due at a rate, and ends each at once. It fails if
// one does.
func storm(addr, caFile, rate, length string) error {
	config, err := clientTLS(caFile, tls.X25519)
	if err != nil {
		return err
	}
	perSecond, err := strconv.ParseFloat(rate, 64)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	var work errgroup.Group
	var pending atomic.Int64
	pace(perSecond, d, func(i int, _ time.Time) {
		if pending.Add(1) > stormPending {
			pending.Add(-1)
			work.Go(func() error { return errors.New("too many sign-ins pending") })
			return
		}
		work.Go(func() error {
			defer pending.Add(-1)
			c, err := signIn(addr, config, fmt.Sprintf("storm%d", i%1000))
			if err == nil {
				err = c.conn.Close()
			}
			return err
		})
	})
	return work.Wait()
}

// inStorm returns the p99 of other sessions' NOOPs, in milliseconds, while sign-ins arrive at a peer.
func inStorm(s *site, p *Peer) (p99 float64, err error) {
	clients, err := signInMany(p.Plain, nil, others)
	defer closeAll(clients)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(s.system.self, "storm", p.TLS, s.ca, fmt.Sprint(stormRate), stormTime.String())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	time.Sleep(stormRamp)
	took, err := openLoop(clients, othersRate, stormTime-2*stormRamp)
	return took.quantile(0.99), errors.Join(err, cmd.Wait())
}

// stormRows are the p99 of others' commands during the storm, and the wake-up delay of Portico's loop meanwhile.
func stormRows(s *site, all []starter, rounds int) (p99, wakeup *row, err error) {
	running, err := startAll(s, all)
	defer stopAll(running)
	if err != nil {
		return nil, nil, err
	}
	p99 = &row{name: "p99 of others' NOOP during 400 new TLS sign-ins a second", unit: "ms", bar: 1.0,
		against: bestOfAll}
	wakeup = &row{name: "wake-up delay of the loop during the storm, p99", unit: "ms, at most", bar: 1,
		against: absolute}
	var delays buckets
	err = takeTurns(running, rounds, func(p *Peer) error {
		var before, after buckets
		if p.Name == portico {
			if before, err = wakeups(p); err != nil {
				return err
			}
		}
		value, err := inStorm(s, p)
		if err != nil {
			return err
		}
		p99.add(p.Name, value)
		if p.Name != portico {
			return nil
		}
		if after, err = wakeups(p); err != nil {
			return err
		}
		delays = delays.plus(after.minus(before))
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	wakeup.add(portico, 1000*delays.quantile(0.99))
	wakeup.note = fmt.Sprintf("%.0f samples of all rounds; the upper end of the bucket; p50 %.3g", delays.count(),
		1000*delays.quantile(0.5))
	return p99, wakeup, nil
}
