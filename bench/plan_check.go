package bench

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// check refuses values of 0 that users have written, because 0 means the default in Options. It also refuses options
// that have no effect together with the others.
func (p *Plan) check() error {
	return errors.Join(p.checkZeros(), p.checkReplay(), p.checkTLS(), p.checkEffects())
}

// checkZeros refuses values of 0.
func (p *Plan) checkZeros() error {
	return errors.Join(
		notZero("sessions", p.Sessions, fmt.Sprint(DefaultSessions)),
		notZero("duration", p.Duration, DefaultDuration.String()),
		notZero("timeout", p.Timeout, DefaultTimeout.String()),
		notZero("grace", p.Grace, DefaultGrace.String()),
		notZero("backlog", p.Backlog, fmt.Sprint(DefaultBacklog)),
		notZero("rate", p.Rate, "the rate of the profile"),
		notZero("speed", p.Speed, "1"),
	)
}

// notZero refuses an option that is given as 0.
func notZero[T int | float64 | time.Duration](name string, value *T, otherwise string) error {
	if value == nil || *value != 0 {
		return nil
	}
	return fmt.Errorf("%s %v: give a value above 0, or leave it out (default: %s)", name, *value, otherwise)
}

// without is an option that has no effect.
type without struct {
	name  string
	given bool
}

// useless returns an error that names the options of the list that are given, and why they have no effect.
func useless(why string, options ...without) error {
	var errs []error
	for _, o := range options {
		if o.given {
			errs = append(errs, fmt.Errorf("%s has no effect: %s", o.name, why))
		}
	}
	return errors.Join(errs...)
}

// checkReplay refuses options whose values come from the recording of a replay.
func (p *Plan) checkReplay() error {
	if p.Replay == "" {
		return useless("only a replay has a speed", without{"speed", p.Speed != nil})
	}
	err := useless("a recording has its own sessions and times; leave it out, or leave out replay",
		without{"profile", p.Profile != ""}, without{"sessions", p.Sessions != nil},
		without{"rate", p.Rate != nil}, without{"closed", p.Closed})
	return errors.Join(err, notZero("ramp", p.Ramp, "10 ms for each session that is open at the start"))
}

// checkTLS refuses TLS options that have no effect.
func (p *Plan) checkTLS() error {
	options := []without{
		{"ca", p.CA != ""}, {"insecure", p.Insecure}, {"server-name", p.ServerName != ""}, {"cert", p.Cert != ""},
		{"key", p.Key != ""}, {"tls-version", p.TLSVersion != ""}, {"tls-curve", p.Curve != ""},
	}
	switch {
	case p.TLS == TLSNone:
		return useless("connections do not use TLS; give tls as starttls or implicit", options...)
	case p.Key != "" && p.Cert == "":
		return useless("there is no client certificate; give cert too", without{"key", true})
	case p.Insecure:
		return useless("insecure verifies no certificate", without{"ca", p.CA != ""})
	case p.TLSVersion == "1.2" && p.Curve == "X25519MLKEM768":
		return errors.New("tls-curve X25519MLKEM768 needs TLS 1.3")
	}
	return nil
}

// checkEffects refuses other options that have no effect.
func (p *Plan) checkEffects() error {
	return errors.Join(
		useless("the mechanism external signs in without a password",
			without{"password-file", p.PasswordFile != "" && p.Mechanism == MechanismExternal}),
		useless("in a closed loop no operation waits", without{"backlog", p.Closed && p.Backlog != nil}),
		useless("a closed loop has no rate", without{"rate", p.Closed && p.Rate != nil}),
	)
}

// orDefault returns an option's value, or 0 if it is not given, which means the default in Options.
func orDefault[T any](value *T) T { return *cmp.Or(value, new(T)) }
