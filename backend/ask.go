package backend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// askTime is how long a mailbox server that is asked may take to show that it answers. It is the server's own: a
// silent one takes nothing from the others.
const askTime = 3 * time.Second

// Reach is what asking a mailbox server has found.
type Reach uint8

// The three answers.
const (
	ReachUnknown Reach = iota // it could not be asked
	ReachUp
	ReachDown
)

// ReachOf returns what an error of Check, CheckEach or RecentChecks says of the server. What this machine lacks, a name
// that does not resolve, and the end of whoever asked say nothing.
func ReachOf(err error) Reach {
	var e *Error
	switch {
	case err == nil:
		return ReachUp
	case !errors.As(err, &e), e.Kind != KindBye && e.evidence() == nothing:
		return ReachUnknown
	}
	return ReachDown
}

// Check says whether a mailbox server can be reached now: it connects, does TLS, and reads greeting and capabilities.
// The result counts for the server's circuit breaker. Errors are *Error, or wrap ErrUnknownName.
func (t *Tier) Check(ctx context.Context, server string) error {
	s, err := t.topology.server(server)
	if err != nil {
		return err
	}
	err = t.check(ctx, s)
	t.protection.circuitBreakers.tested(server, asError(err), false)
	return err
}

func (t *Tier) check(ctx context.Context, s *mailboxServer) error {
	c := &serverConn{ctx: ctx, tier: t, server: s, laps: stopwatch{now: t.now}}
	if err := c.connect(); err != nil {
		return err
	}
	defer c.conn.Close()
	stop := context.AfterFunc(ctx, func() { interrupt(c.conn) })
	defer stop()
	if err := c.prepare(); err != nil {
		return err
	}
	t.authentication.offered.learn(s.name, c.capabilities)
	return nil
}

// checkQuickly is Check within askTime. A server that takes longer may still serve sign-ins, so that does not count for
// its circuit breaker.
func (t *Tier) checkQuickly(ctx context.Context, name string) error {
	s, err := t.topology.server(name)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err = t.check(bounded, s)
	if err == nil {
		t.protection.circuitBreakers.tested(name, nil, false)
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("mailbox server %s could not be asked: %w", name, context.Cause(ctx))
	}
	e := asError(err)
	if end, _ := bounded.Deadline(); e != nil && e.Kind == KindTimeout && !time.Now().Before(end) {
		e.Err = fmt.Errorf("no answer to %s within %v", askedFor[e.Phase], askTime)
		return e
	}
	t.protection.circuitBreakers.tested(name, e, false)
	return err
}

// askedFor says what a server has not answered, by phase.
var askedFor = map[string]string{PhaseDial: "the connect", PhaseTLS: "the TLS handshake",
	PhaseGreeting: "the new connection"}

// CheckEach checks servers side by side, each within its own time.
func (t *Tier) CheckEach(ctx context.Context, servers []string) map[string]error {
	return sideBySide(servers, func(name string) error { return t.checkQuickly(ctx, name) })
}

// sideBySide calls ask for all servers at the same time.
func sideBySide(servers []string, ask func(server string) error) map[string]error {
	var mu sync.Mutex
	var group sync.WaitGroup
	found := make(map[string]error)
	for _, name := range servers {
		group.Go(func() {
			err := ask(name)
			mu.Lock()
			defer mu.Unlock()
			found[name] = err
		})
	}
	group.Wait()
	return found
}
