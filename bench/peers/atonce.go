//go:build unix

package peers

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Of the rows where all come at once.
const (
	waitingSignIns = 5000 // that a mailbox server which comes back finds
	reconnecting   = 8000 // clients of a proxy that has restarted
	reconnectTime  = 2 * time.Minute

	// A client gives up an attempt after attemptTime and tries again after a time that doubles, as phones do.
	attemptTime  = 20 * time.Second
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
)

// handedOverRows have clients that are connected send LOGIN at once, with two processors for each proxy. Portico takes
// its turn with two loops and with one. The rows are the time until all are in, and what others' commands wait
// meanwhile.
func handedOverRows(s *site, all []starter, rounds int) (in, p99 *row, err error) {
	one, err := startAll(s, all[:1])
	defer func() { stopAll(one) }()
	if err != nil {
		return nil, nil, err
	}
	const oneLoop = "portico, one loop"
	one[0].Name = oneLoop
	s.workers = 2
	defer func() { s.workers = 1 }()
	running, err := startAll(s, all)
	defer func() { stopAll(running) }()
	if err != nil {
		return nil, nil, err
	}
	unranked := map[string]bool{"haproxy": true, oneLoop: true}
	name := fmt.Sprintf("%d sign-ins at once, two workers", waitingSignIns)
	in = &row{name: name, unit: "s until all are in", unranked: unranked}
	p99 = &row{name: "p99 of others' NOOP meanwhile", unit: "ms", unranked: unranked}
	refused := make(map[string]int)
	err = takeTurns(append(running, one...), rounds, func(p *Peer) error {
		took, waited, failed, err := handOver(p)
		in.add(p.Name, took.Seconds())
		p99.add(p.Name, waited)
		refused[p.Name] += failed
		return err
	})
	each := make(map[string]string)
	for name, n := range refused {
		each[name] = fmt.Sprint(n)
	}
	in.note = fmt.Sprintf("portico with one loop: %s s; haproxy signs nobody in; sign-ins that failed, in all "+
		"rounds: %s",
		spreadOf(in.values[oneLoop]), inOrder(each))
	p99.note = fmt.Sprintf("portico with one loop: %s ms", spreadOf(p99.values[oneLoop]))
	return in, p99, err
}

// handOver returns how long all take to sign in, the p99 of others' NOOPs until then, in milliseconds, and how many
// did not get in.
func handOver(p *Peer) (took time.Duration, p99 float64, failed int, err error) {
	settled, err := signInMany(p.Plain, nil, others)
	defer closeAll(settled)
	if err != nil {
		return 0, 0, 0, err
	}
	clients := make([]*client, waitingSignIns)
	defer closeAll(clients)
	var connecting errgroup.Group
	connecting.SetLimit(8)
	for i := range clients {
		connecting.Go(func() (err error) {
			clients[i], err = connect(context.Background(), p.Plain, nil)
			return err
		})
	}
	if err := connecting.Wait(); err != nil {
		return 0, 0, 0, err
	}
	start := time.Now()
	var work sync.WaitGroup
	var refused atomic.Int64
	for i, c := range clients {
		work.Go(func() {
			if c.logIn(fmt.Sprintf("user%d", i)) != nil {
				refused.Add(1)
			}
		})
	}
	done := make(chan time.Duration, 1)
	go func() {
		work.Wait()
		done <- time.Since(start)
	}()
	var waited waits
	for took == 0 && err == nil {
		select {
		case took = <-done:
		default:
			some, failing := openLoop(settled, othersRate, 100*time.Millisecond)
			waited, err = append(waited, some...), failing
		}
	}
	return took, waited.quantile(0.99), int(refused.Load()), err
}

// reconnectRows start each proxy again in each round, and have all clients reconnect over TLS within a second: when
// the last is in, and how long a client waits. Attempts that fail are counted in the note.
func reconnectRows(s *site, all []starter, rounds int) (in, p99 *row, err error) {
	config, hybrid, err := s.newTLS()
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("%d clients reconnect over TLS after a restart%s", reconnecting, hybrid)
	in = &row{name: name, unit: "s until all are in", against: bestOfAll, unranked: map[string]bool{"haproxy": true}}
	p99 = &row{name: "p99 of a client's way in", unit: "s", against: bestOfAll,
		unranked: map[string]bool{"haproxy": true}}
	failed := make(map[string]int)
	for round := range rounds {
		for i := range all {
			st := all[(i+round)%len(all)]
			r, err := restarted(s, st, config)
			if err != nil {
				return nil, nil, fmt.Errorf("%s, round %d: %w", st.name, round+1, err)
			}
			in.add(st.name, r.last.Seconds())
			p99.add(st.name, r.waits.quantile(0.99)/1000)
			failed[st.name] += r.failed
		}
	}
	each := make(map[string]string)
	for name, n := range failed {
		each[name] = fmt.Sprint(n)
	}
	in.note = "attempts that failed and were made again, in all rounds: " + inOrder(each)
	return in, p99, nil
}

// reconnected is how clients came back.
type reconnected struct {
	last   time.Duration // until the last was in
	waits  waits
	failed int // attempts
}

func restarted(s *site, st starter, config *tls.Config) (r reconnected, err error) {
	running, err := startAll(s, []starter{st})
	defer stopAll(running)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reconnectTime)
	defer cancel()
	clients := make([]*client, reconnecting)
	defer closeAll(clients)
	var (
		mu    sync.Mutex
		work  errgroup.Group
		start = time.Now()
	)
	for i := range clients {
		work.Go(func() error {
			time.Sleep(rand.N(time.Second))
			begun := time.Now()
			c, failed, err := comeBack(ctx, running[0].TLS, config, fmt.Sprintf("user%d", i))
			mu.Lock()
			defer mu.Unlock()
			r.failed += failed
			if err != nil {
				return err
			}
			clients[i] = c
			r.waits = append(r.waits, sample{begun, time.Since(begun)})
			r.last = max(r.last, time.Since(start))
			return nil
		})
	}
	return r, work.Wait()
}

// comeBack signs in, as often as it takes.
func comeBack(ctx context.Context, addr string, config *tls.Config, user string) (c *client, failed int, err error) {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		if c, err = attempt(ctx, addr, config, user); err == nil {
			return c, failed, nil
		}
		failed++
		select {
		case <-time.After(backoff/2 + rand.N(backoff)):
		case <-ctx.Done():
			return nil, failed, fmt.Errorf("still not in after %v: %w", reconnectTime, err)
		}
	}
}

// attempt signs in within attemptTime.
func attempt(ctx context.Context, addr string, config *tls.Config, user string) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	c, err := connect(ctx, addr, config)
	if err != nil {
		return nil, err
	}
	return c, c.logIn(user)
}
