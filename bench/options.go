package bench

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Limits of every run.
const (
	MaxDuration = 24 * time.Hour // of the measured time, of the ramp, and of the warm-up
	MaxSessions = 50_000
	maxRate     = 1_000_000 // operations a second
	maxBacklog  = 100_000   // operations of one session
)

// Defaults of Options.
const (
	DefaultDuration = 30 * time.Second
	DefaultSessions = 10
	DefaultTimeout  = 30 * time.Second
	DefaultBacklog  = 1000
	DefaultGrace    = 5 * time.Second
)

// Verify says which parts of answers are checked.
type Verify uint8

// The levels. Both check framing and tags.
const (
	VerifyAll Verify = iota // counts, UIDs, flags, lengths and checksums too
	// nothing else: for servers whose answers have no meaning, such as the sink, or that change messages
	VerifyWire
)

var verifyNames = [...]string{"all", "wire"}

// String returns all or wire.
func (v Verify) String() string { return verifyNames[v] }

// MarshalText implements encoding.TextMarshaler.
func (v Verify) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Verify) UnmarshalText(text []byte) error {
	i := slices.Index(verifyNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is neither all nor wire", text)
	}
	*v = Verify(i)
	return nil
}

// DialFunc connects to a target, from the source address unless that is the zero value.
type DialFunc func(ctx context.Context, source netip.Addr, target *Target) (net.Conn, error)

// Options describe a run. Targets, Users and Profile are required; other zero values have defaults.
type Options struct {
	Targets   []Target // from Resolve; sessions take turns
	Users     []User   // sessions take turns
	Profile   *Profile
	TLS       TLSMode
	TLSConfig *tls.Config // for TLS; its ServerName, if any, holds for all targets
	Mechanism Mechanism
	ID        bool         // send ID after each sign-in
	Compress  bool         // COMPRESS=DEFLATE after each sign-in
	Sources   []netip.Addr // source addresses; sessions take turns
	Verify    Verify

	Sessions int
	Duration time.Duration // of the measured time
	Ramp     time.Duration // before it, over which sessions sign in
	WarmUp   time.Duration // between the ramp and the measured time; operations that begin in it do not count
	Closed   bool          // each session begins an operation when the previous one has ended
	Rate     float64       // otherwise, operations due a second, over all sessions; the profile's by default
	Speed    float64       // of a replay: 1 by default, 2 is twice as fast
	Backlog  int           // how many operations of one session may wait to begin; older ones are dropped
	Timeout  time.Duration // for the answer to each command, from its sending
	// how long operations that are due or running at the end of the measured time may take, at most a minute
	Grace time.Duration

	Cut <-chan struct{} // once it is closed, the run waits for nothing any more; nil is never

	FailIf []Condition // any of them fails the run; one on the errors of the whole run decides how many are too many

	Seed      uint64         // of the sessions' random choices; the same seed gives the same choices
	Random    io.Reader      // of tags, which do not depend on Seed; safe for concurrent use; nil is crypto/rand.Reader
	Version   string         // of the tool, for the report; may be empty
	RunID     string         // part of mailbox names and messages; random by default
	Account   *Account       // of the processes under load; may be nil
	Progress  func(Progress) // called during the run, from one goroutine; may be nil
	Intervals func(Interval) // called at each step, from the same goroutine; may be nil
	Dial      DialFunc       // nil is the network

	proc string // where the tool reads its own scheduling delays; /proc by default
}

// complete fills in defaults and refuses values out of range.
func (o *Options) complete() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if o.Profile != nil {
		if err := o.completeReplay(); err != nil {
			return err
		}
	}
	setDefault(&o.Sessions, DefaultSessions)
	setDefault(&o.Duration, DefaultDuration)
	setDefault(&o.Timeout, DefaultTimeout)
	setDefault(&o.Backlog, DefaultBacklog)
	setDefault(&o.Grace, DefaultGrace)
	check(len(o.Targets) > 0, "no target")
	check(len(o.Users) > 0, "no user")
	check(o.Profile != nil, "no profile")
	check(o.Sessions > 0 && o.Sessions <= MaxSessions, "%d sessions: must be 1 to %d", o.Sessions, MaxSessions)
	check(o.Duration > 0 && o.Duration <= MaxDuration, "duration %v: must be above 0 and at most %v", o.Duration,
		MaxDuration)
	check(o.Ramp >= 0 && o.Ramp <= MaxDuration, "ramp %v: must be 0 to %v", o.Ramp, MaxDuration)
	check(o.WarmUp >= 0 && o.WarmUp <= MaxDuration, "warm-up %v: must be 0 to %v", o.WarmUp, MaxDuration)
	check(o.Timeout > 0 && o.Timeout <= maxLatency, "time-out %v: must be above 0 and at most %v", o.Timeout,
		maxLatency)
	check(o.Grace > 0 && o.Grace <= time.Minute, "grace %v: must be above 0 and at most a minute", o.Grace)
	check(!o.Closed || o.Rate == 0, "a closed loop has no rate: leave out one of the two")
	check(o.Backlog > 0 && o.Backlog <= maxBacklog, "backlog %d: must be 1 to %d", o.Backlog, maxBacklog)
	check(o.TLS == TLSNone || o.TLSConfig != nil, "no TLS configuration")
	check(o.Mechanism != MechanismExternal || o.TLS != TLSNone && o.hasCertificate(),
		"EXTERNAL needs TLS and a client certificate")
	if o.Profile != nil && !o.Closed && o.Rate == 0 {
		o.Rate = o.Profile.PerSession * float64(o.Sessions)
	}
	check(o.Closed || o.Rate >= minRate && o.Rate <= maxRate,
		"rate %v: must be at least one a day and at most %d a second", o.Rate, maxRate)
	if o.RunID == "" {
		o.RunID = fmt.Sprintf("%016x", rand.Uint64())
	}
	setDefault(&o.proc, "/proc")
	if o.Random == nil {
		o.Random = cryptorand.Reader
	}
	if o.Dial == nil {
		o.Dial = dialer
	}
	return errors.Join(errs...)
}

func (o *Options) hasCertificate() bool {
	return o.TLSConfig != nil && len(o.TLSConfig.Certificates) > 0 || len(o.Users) > 0 && o.Users[0].Certificate != nil
}

// minRate is one operation in a day.
const minRate = 1.0 / (24 * 60 * 60)

func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}
