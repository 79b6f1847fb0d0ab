package health

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Probe is one instance of a probe: what it looks at, and how.
type Probe struct {
	HealthSet string
	Name      string
	Target    string // "" where there is only one
	Interval  time.Duration
	Timeout   time.Duration
	// Run looks. It notes its steps on the run, and returns nil if all is well; *Failure, or an error of package
	// backend, says whom to blame. It ends soon after its context, and may panic.
	Run func(ctx context.Context, r *Run) error

	// Anywhere says that it can be run against another endpoint than its own.
	Anywhere bool

	// Elsewhere says that other nodes repeat it: here it runs by hand only.
	Elsewhere bool

	off bool // an override keeps it from running
}

// ID is the probe's identity: health set, name and target, with slashes between.
func (p *Probe) ID() string { return p.HealthSet + "/" + nameOf(p.Name, p.Target) }

// Run is a run in progress, in which the probe records its steps. It belongs to the probe's goroutine.
type Run struct {
	Account  string  // the mailbox to sign in to, if it is not the probe's own
	Password string  // its password
	Endpoint string  // host:port of whom to ask instead, over TLS; wants an account
	Mailbox  string  // the mailbox server it has come to
	Value    float64 // of a check
	Sent     string  // the last line sent, without what may be a secret
	Received string
	Context  string // what else is to be known of the run
	ByHand   bool   // somebody waits for what it finds
	ReadOnly bool   // write nothing

	signedIn string          // the account that it signs in to
	life     context.Context // of whoever wants the run, without the run's own end
	steps    []Step
	phase    string
	began    time.Time
	now      func() time.Time
}

// ByHand has the options of a run by hand.
type ByHand struct {
	Timeout           time.Duration // 0: the probe's own
	Account, Password string        // instead of the health mailbox's
	ReadOnly          bool          // write nothing, whatever the probe does else
	// host:port; wants an account, since the health mailbox's password goes nowhere else
	Endpoint string
}

// Step begins the next step. The one before ends.
func (r *Run) Step(name string) {
	r.end()
	r.phase, r.began = name, r.now()
}

func (r *Run) end() {
	if r.phase != "" {
		r.steps = append(r.steps, Step{r.phase, r.now().Sub(r.began)})
	}
}

// Took records a step with a given duration.
func (r *Run) Took(name string, d time.Duration) { r.steps = append(r.steps, Step{name, d}) }

// beside returns a context for questions that a run asks after its own time is over.
func (r *Run) beside(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if r.life != nil {
		ctx = r.life
	}
	return context.WithTimeout(ctx, most)
}

// execute runs a probe once and returns its result, nil if there was nothing to look at.
func (p *Probe) execute(ctx context.Context, timeout time.Duration, now func() time.Time, run *Run) *Result {
	run.life, run.now = ctx, now
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result := &Result{HealthSet: p.HealthSet, Probe: p.Name, Target: p.Target, Start: now(), Type: Succeeded}
	err := p.guarded(ctx, run)
	if errors.Is(err, ErrNoSample) {
		return nil
	}
	phase := run.phase
	run.end()
	result.End = now()
	result.Steps, result.Sent, result.Received, result.Mailbox, result.Value = run.steps, run.Sent, run.Received,
		run.Mailbox, run.Value
	result.Context, result.Account = run.Context, run.signedIn
	if err == nil {
		return result
	}
	result.Type, result.Err, result.Phase = Failed, err.Error(), phase
	var failure *Failure
	var poison *panicError
	if errors.As(err, &failure) {
		result.Dependency = failure.Dependency
		if failure.Phase != "" {
			result.Phase = failure.Phase
		}
	} else if dependency, at := blame(err); dependency != None {
		result.Dependency = dependency
		if at != "" {
			result.Phase = at
		}
	}
	switch {
	case errors.As(err, &poison):
		result.Type = Poisoned
	case ctx.Err() == context.DeadlineExceeded, result.End.Sub(result.Start) >= timeout:
		// the connection's deadline may strike before the context's
		result.Type = Timeout
		result.Err = fmt.Sprintf("timed out after %v, in %s: %v", timeout, result.Phase, err)
	}
	return result
}

// Try runs a probe's run function once, by itself, and returns what it has found wrong.
func Try(ctx context.Context, timeout time.Duration, run func(context.Context, *Run) error) error {
	result := (&Probe{Run: run}).execute(ctx, timeout, time.Now, new(Run))
	if result == nil || result.Type == Succeeded {
		return nil
	}
	return fmt.Errorf("%s: %s", result.Phase, result.Err)
}

// panicError is a probe's panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// guarded runs the probe, and returns a panic as an error.
func (p *Probe) guarded(ctx context.Context, run *Run) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return p.Run(ctx, run)
}

const (
	// maxPanics in a row are what a probe may have before it is left alone.
	maxPanics = 3
	// quarantine is for how long.
	quarantine = time.Hour
)
