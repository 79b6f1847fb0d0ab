package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portico/bench"
)

// planFlags gives a command the flags of a whole plan. They fill the plan when the command line is read.
func planFlags(cmd *cobra.Command) *bench.Plan {
	p := &bench.Plan{}
	connectionFlags(cmd, p)
	workFlags(cmd.Flags(), p)
	phaseFlags(cmd.Flags(), p)
	verdictFlags(cmd.Flags(), p)
	return p
}

// connectionFlags gives a command the flags about servers, users and connections.
func connectionFlags(cmd *cobra.Command, p *bench.Plan) {
	flags := cmd.Flags()
	flags.StringArrayVar(&p.Target, "target", nil,
		"`host:port` of the server; if repeated, sessions use the targets in turn")
	tlsFlags(flags, p)
	flags.StringVar(&p.Users, "users", "", "user name, or a `pattern` with a range: user%04d:1-2000")
	flags.StringVar(&p.PasswordFile, "password-file", "",
		"`file` with one line, the password or token of all users, or with lines NAME:PASSWORD")
	flags.TextVar(&p.Mechanism, "mechanism", bench.MechanismLogin,
		"how to sign in: `login, plain, xoauth2, oauthbearer or external`; external needs --cert")
	flags.BoolVar(&p.ID, "id", false, "send ID after each sign-in")
	flags.BoolVar(&p.Compress, "compress", false, "compress connections after sign-in (COMPRESS=DEFLATE)")
	durationVar(flags, &p.Timeout, "timeout", bench.DefaultTimeout.String(),
		"longest `time` from sending a command to its answer; untagged responses do not extend it")
	flags.StringArrayVar(&p.Source, "source", nil, "source `address`; if repeated, sessions use the addresses in turn")
	cmd.MarkFlagRequired("target")
	cmd.MarkFlagRequired("users")
}

// tlsFlags gives a command the flags about TLS.
func tlsFlags(flags *pflag.FlagSet, p *bench.Plan) {
	flags.TextVar(&p.TLS, "tls", bench.TLSNone, "how connections use TLS: `none, starttls or implicit`")
	flags.StringVar(&p.CA, "ca", "",
		"PEM `file` with the CA of the server's certificate; the default is the system's CAs")
	flags.BoolVar(&p.Insecure, "insecure", false, "do not verify the server's certificate")
	flags.StringVar(&p.ServerName, "server-name", "",
		"`name` that the certificate must have; the default is the target's host")
	flags.StringVar(&p.Cert, "cert", "",
		"PEM `file` with the client's certificate; {user} in the file name stands for the user")
	flags.StringVar(&p.Key, "key", "", "PEM `file` with its key, {user} likewise; the default is the file of --cert")
	flags.StringVar(&p.TLSVersion, "tls-version", "", "use only this `version` of TLS: 1.2 or 1.3")
	flags.StringVar(&p.Curve, "tls-curve", "", "use only this key `exchange`: X25519, P256 or X25519MLKEM768")
}

// workFlags gives a command the flags about what sessions do.
func workFlags(flags *pflag.FlagSet, p *bench.Plan) {
	flags.StringVar(&p.Profile, "profile", "",
		"what sessions do: a `name` from bench profile list, or a file (with a / or . in its name); the "+
			"default is noop")
	flags.StringVar(&p.Replay, "replay", "",
		"play the sessions of this recording at their own times: a `file` from bench profile from-log")
	floatVar(flags, &p.Speed, "speed", "1", "`speed` of a replay, 0.01 to 1000: 2 is twice as fast")
	flags.TextVar(&p.Verify, "verify", bench.VerifyAll,
		"which answers to check: `all or wire`; wire checks no contents, for bench sink")
	intVar(flags, &p.Sessions, "sessions", bench.DefaultSessions,
		"`number` of sessions, at most 50000; session 1 takes the first user, and so on")
	flags.BoolVar(&p.Closed, "closed", false,
		"closed loop: a session starts its next operation when the previous one has ended")
	floatVar(flags, &p.Rate, "rate", "",
		"`operations` per second, of all sessions together; the default is the profile's rate")
	intVar(flags, &p.Backlog, "backlog", bench.DefaultBacklog,
		"`operations` of one session that may wait to start; older ones are dropped and count as errors")
	flags.Uint64Var(&p.Seed, "seed", 1, "`number` that seeds the sessions' random choices")
}

// phaseFlags gives a command the flags about the phases of a run.
func phaseFlags(flags *pflag.FlagSet, p *bench.Plan) {
	durationVar(flags, &p.Duration, "duration", bench.DefaultDuration.String(),
		"measured `time`, at most 24h; of a replay, the whole recording by default")
	durationVar(flags, &p.Ramp, "ramp", "", "`time` before the warm-up, in which sessions sign in")
	flags.DurationVar(&p.WarmUp, "warmup", 0,
		"`time` between ramp and measurement, in which operations run but do not count")
	durationVar(flags, &p.Grace, "grace", bench.DefaultGrace.String(),
		"longest `time` for operations that end after the measured time, at most 1m")
}

// verdictFlags gives a command the flags about conditions and about what else to measure.
func verdictFlags(flags *pflag.FlagSet, p *bench.Plan) {
	flags.StringArrayVar(&p.FailIf, "fail-if", nil,
		"`condition` that fails the run, such as 'FETCH p99>100ms'; may be repeated")
	flags.IntSliceVar(&p.PIDs, "pid", nil,
		"`process` under load, whose CPU and memory are measured with its children; may be repeated")
	flags.StringArrayVar(&p.Units, "unit", nil, "systemd `unit` under load, measured likewise; may be repeated")
}

// optional is the value of a flag that tells a value of 0 from none: without the flag, the variable stays nil. It
// implements pflag.Value.
type optional[T any] struct {
	to    **T
	kind  string
	parse func(string) (T, error)
}

// String implements pflag.Value.
func (o optional[T]) String() string {
	if o.to == nil || *o.to == nil {
		return ""
	}
	return fmt.Sprint(**o.to)
}

// Type implements pflag.Value.
func (o optional[T]) Type() string { return o.kind }

// Set implements pflag.Value.
func (o optional[T]) Set(text string) error {
	value, err := o.parse(text)
	*o.to = &value
	return err
}

// durationVar adds a flag for a duration. Help shows otherwise as the default; the variable is nil then.
func durationVar(flags *pflag.FlagSet, to **time.Duration, name, otherwise, usage string) {
	flags.VarPF(optional[time.Duration]{to, "duration", time.ParseDuration}, name, "", usage).DefValue = otherwise
}

// intVar is durationVar for a whole number.
func intVar(flags *pflag.FlagSet, to **int, name string, otherwise int, usage string) {
	flags.VarPF(optional[int]{to, "int", strconv.Atoi}, name, "", usage).DefValue = strconv.Itoa(otherwise)
}

// floatVar is durationVar for a number.
func floatVar(flags *pflag.FlagSet, to **float64, name, otherwise, usage string) {
	parse := func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
	flags.VarPF(optional[float64]{to, "float64", parse}, name, "", usage).DefValue = otherwise
}
