package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"portico/backend/secret"
	"portico/configs/suggest"
)

// run runs a probe once and has its monitors judge. It is an error if the context ends first: then there is no result.
func (e *Engine) run(ctx context.Context, p planned, timeout time.Duration, run *Run, byHand bool) (*Result, error) {
	r := p.state
	e.mu.Lock()
	if byHand {
		e.awaitTurn(ctx, p)
		if ctx.Err() != nil { // nobody wants to know any more
			e.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
	now := e.opt.Now()
	skip := ResultType(0)
	switch {
	case r.ended != nil:
		skip = Rejected
	case now.Before(r.until):
		skip = Quarantined
	}
	if skip != 0 {
		defer e.mu.Unlock()
		result := &Result{
			HealthSet: p.probe.HealthSet, Probe: p.probe.Name, Target: p.probe.Target, Type: skip, Start: now,
			End: now, ByHand: byHand,
		}
		result.Err = map[ResultType]string{Rejected: "the probe is already running",
			Quarantined: "the probe has panicked too often"}[skip]
		e.keep(p, result)
		return result, nil
	}
	r.ended = make(chan struct{})
	e.mu.Unlock()

	result := p.probe.execute(ctx, timeout, e.opt.Now, run)
	e.mu.Lock()
	defer e.mu.Unlock()
	close(r.ended)
	r.ended = nil
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if result == nil {
		return nil, nil
	}
	result.ByHand = byHand
	if result.Type == Poisoned {
		if r.panics++; r.panics >= maxPanics {
			r.until, r.panics = e.opt.Now().Add(quarantine), 0
		}
	} else {
		r.panics = 0
	}
	e.keep(p, result)
	return result, nil
}

// awaitTurn waits for the end of the run that is on, for as long as one may take: whoever asks wants to know how it is
// now, not that somebody looks already. One waits at a time; others are rejected. The caller holds mu, which is given
// up meanwhile.
func (e *Engine) awaitTurn(ctx context.Context, p planned) {
	r := p.state
	if r.ended == nil || r.awaited {
		return
	}
	r.awaited = true
	ended, timer := r.ended, time.NewTimer(p.probe.Timeout)
	e.mu.Unlock()
	select {
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	timer.Stop()
	e.mu.Lock()
	r.awaited = false
}

// keep keeps a result, and has monitors judge by it. The caller holds mu.
func (e *Engine) keep(p planned, result *Result) {
	e.last++
	result.ID = e.last
	p.state.history.add(result)
	if !result.counts() {
		return
	}
	if result.good() {
		p.state.follow = time.Time{}
	}
	now := e.opt.Now()
	for _, m := range e.byProbe[p.probe.ID()] {
		e.transition(m, func() { m.judge(result, now) })
	}
	e.wake()
}

// ErrUnknown says that there is no such probe or monitor. Errors that wrap it say which name it is, in words.
var ErrUnknown = errors.New("unknown name")

// unknown is an error that wraps ErrUnknown.
type unknown string

func (u unknown) Error() string { return string(u) }
func (u unknown) Unwrap() error { return ErrUnknown }

// Unknown returns an error that wraps ErrUnknown and says text.
func Unknown(text string) error { return unknown(text) }

// RunNow runs probes by hand: those of a health set, name and target, of which the last may be "" for all. What they
// find does not count for monitors.
func (e *Engine) RunNow(ctx context.Context, set, name, target string, by ByHand) ([]*Result, error) {
	if by.Endpoint != "" && by.Account == "" {
		return nil, errors.New("--endpoint needs an account and its password: health mailboxes' passwords are sent " +
			"only to configured servers")
	}
	if err := secret.CheckHostPort(by.Endpoint); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	e.mu.Lock()
	var chosen []planned
	var known []string
	for _, p := range e.probes {
		known = append(known, p.probe.ID())
		if strings.EqualFold(p.probe.HealthSet, set) && strings.EqualFold(p.probe.Name, name) &&
			(target == "" || p.probe.Target == target) {
			chosen = append(chosen, p)
		}
	}
	e.mu.Unlock()
	if len(chosen) == 0 {
		return nil, unknown(suggest.NoSuch("probe", set+"/"+nameOf(name, target), known))
	}
	for _, p := range chosen {
		if by.Endpoint != "" && !p.probe.Anywhere {
			return nil, fmt.Errorf("%s takes no endpoint: it tests only what is configured", name)
		}
	}
	slices.SortFunc(chosen, func(a, b planned) int { return cmp.Compare(a.probe.Target, b.probe.Target) })
	results := make([]*Result, len(chosen))
	errs := make([]error, len(chosen))
	var work sync.WaitGroup
	for i, p := range chosen {
		work.Go(func() {
			t := cmp.Or(by.Timeout, p.probe.Timeout)
			results[i], errs[i] = e.run(ctx, p, t, &Run{Account: by.Account, Password: by.Password,
				Endpoint: by.Endpoint, ByHand: true, ReadOnly: by.ReadOnly}, true)
		})
	}
	work.Wait()
	return results, errors.Join(errs...)
}
