package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"portico/bench"
	"portico/cmd/portico/release"
)

func newBenchRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --target HOST:PORT --users PATTERN --password-file FILE",
		Short: "Sign in sessions, run a profile, and report",
		Long: `Run signs in sessions to an IMAP server and lets them work by a profile. It
measures every command and checks every answer. By default operations start at a
fixed rate, however fast the server answers, and latencies count from the
scheduled start. With --closed each session waits for its answer before it
continues. At the end, run removes the mailboxes that its sessions created.

Conditions fail the run: --fail-if [WHAT] MEASURE COMPARISON LIMIT, for example
'p99>100ms', 'errors>0', 'rate<950' or 'FETCH p99.9>1s'. WHAT is a command or a
row of the report; without it the condition is about whole operations. Measures
are pN, mean, max, errors (a number or a percentage) and rate (completed per
second).

With --replay, run plays the sessions of a recording (bench profile from-log) at
their own times, as test users, for the whole recording or --duration. --speed 2
plays twice as fast.

With --find-rate, run searches for the highest rate at which the conditions
hold. It does a run of 10s or --duration for each rate that it tries.

Exit status: 0 all operations completed correctly; 1 some did not, or a
condition failed; 2 the run could not start or finish; 3 with --strict: the tool
was short of CPU, so the latencies are not the server's alone.`,
		Args: cobra.NoArgs,
	}
	plan := runFlags(cmd)
	find := cmd.Flags().StringArray("find-rate", nil,
		"search for the highest rate at which this `condition` holds, such as 'p99<100ms'; may be repeated")
	rounds := cmd.Flags().Int("rounds", 1,
		"do the run this `often`, with a report for each; bench diff compares such rounds")
	page := cmd.Flags().String("report", "", "also write the report as an HTML page to this `file`")
	watch := watchFlags(cmd)
	output := outputFlags(cmd)
	remote := allowRemoteFlag(cmd)
	strict := strictFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		ctx, end := context.WithCancel(ctx)
		defer end()
		if err := checkReplay(cmd, plan); err != nil {
			return err
		}
		o, err := plan.Options(ctx, net.DefaultResolver, *remote)
		if err != nil {
			return err
		}
		o.Version = release.Version()
		stopMetrics, err := watch.serveMetrics(ctx, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer stopMetrics()
		if *rounds < 1 || *rounds > maxRounds || *rounds > 1 && *page+watch.hdr != "" {
			return fmt.Errorf("--rounds %d: give a number from 1 to %d, and only 1 with --report or --hdr",
				*rounds, maxRounds)
		}
		if len(*find) > 0 {
			if *rounds > 1 || watch.hdr != "" || watch.live {
				return errors.New("--find-rate does its own runs: leave out --rounds, --hdr and --live")
			}
			stop, err := watch.follow(cmd, &o, func() {})
			if err != nil {
				return err
			}
			defer stop()
			search, err := findRate(ctx, cmd, o, *find, *page)
			if err != nil {
				return err
			}
			if err := output.report(cmd.OutOrStdout(), search); err != nil {
				return err
			}
			return measured(search.Fine(), search.ToolLimit, *strict)
		}
		fine, short := true, false
		for range *rounds {
			report, err := followedRun(ctx, cmd, watch, o, end)
			if err != nil {
				return err
			}
			if *page != "" {
				if err := writeFile(*page, report.WriteHTML); err != nil {
					return fmt.Errorf("report: %w", err)
				}
			}
			if err := output.report(cmd.OutOrStdout(), report); err != nil {
				return err
			}
			fine, short = fine && report.Fine(), short || report.Tool.Short()
			if ctx.Err() != nil {
				break
			}
		}
		return measured(fine, short, *strict)
	}
	return cmd
}

// checkReplay refuses flags that a recording decides, and lets it decide the others.
func checkReplay(cmd *cobra.Command, p *bench.Plan) error {
	if p.Replay == "" {
		return nil
	}
	for _, name := range []string{"profile", "sessions", "rate", "closed"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s and --replay: a recording has its own sessions and times; leave out one "+
				"of the two", name)
		}
	}
	if !cmd.Flags().Changed("duration") {
		p.Duration = 0 // that of the recording
	}
	return nil
}

// followedRun is a run that a person or a program follows. A person may end it early.
func followedRun(ctx context.Context, cmd *cobra.Command, watch *watching, o bench.Options,
	end func()) (*bench.Report, error) {
	stop, err := watch.follow(cmd, &o, end)
	if err != nil {
		return nil, err
	}
	report, err := bench.Run(ctx, o)
	return report, errors.Join(err, stop())
}

// maxRounds bounds how often a run is repeated.
const maxRounds = 1000

// connectionFlags fills in where a plan signs whom in, and how.
func connectionFlags(cmd *cobra.Command, p *bench.Plan) {
	flags := cmd.Flags()
	flags.StringArrayVar(&p.Target, "target", nil,
		"`host:port` of the server; if repeated, sessions use the targets in turn")
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
	flags.StringVar(&p.Users, "users", "", "user name, or a `pattern` with a range: user%04d:1-2000")
	flags.StringVar(&p.PasswordFile, "password-file", "",
		"`file` with one line, the password or token of all users, or with lines NAME:PASSWORD")
	flags.TextVar(&p.Mechanism, "mechanism", bench.MechanismLogin,
		"how to sign in: `login, plain, xoauth2, oauthbearer or external`; external needs --cert")
	flags.BoolVar(&p.ID, "id", false, "send ID after each sign-in")
	flags.BoolVar(&p.Compress, "compress", false, "compress connections after sign-in (COMPRESS=DEFLATE)")
	flags.DurationVar(&p.Timeout, "timeout", bench.DefaultTimeout,
		"longest `time` from sending a command to its answer; untagged responses do not extend it")
	flags.StringArrayVar(&p.Source, "source", nil, "source `address`; if repeated, sessions use the addresses in turn")
	cmd.MarkFlagRequired("target")
	cmd.MarkFlagRequired("users")
}

// runFlags fills a plan from flags.
func runFlags(cmd *cobra.Command) *bench.Plan {
	p := &bench.Plan{}
	connectionFlags(cmd, p)
	flags := cmd.Flags()
	flags.StringVar(&p.Profile, "profile", "noop",
		"what sessions do: a `name` from bench profile list, or a file (with a / or . in its name)")
	flags.StringVar(&p.Replay, "replay", "",
		"play the sessions of this recording at their own times: a `file` from bench profile from-log")
	flags.Float64Var(&p.Speed, "speed", 0, "`speed` of a replay, 0.01 to 1000: 2 is twice as fast; the default is 1")
	flags.TextVar(&p.Verify, "verify", bench.VerifyAll,
		"which answers to check: `all or wire`; wire checks no contents, for bench sink")
	flags.IntVar(&p.Sessions, "sessions", bench.DefaultSessions, "number of sessions, `at most` 50000")
	flags.BoolVar(&p.Closed, "closed", false,
		"closed loop: a session starts its next operation when the previous one has ended")
	flags.Float64Var(&p.Rate, "rate", 0,
		"`operations` per second, of all sessions together; the default is the profile's rate")
	flags.DurationVar(&p.Duration, "duration", bench.DefaultDuration, "measured time, `at most` 24h")
	flags.DurationVar(&p.Ramp, "ramp", 0, "`time` before the warm-up, in which sessions sign in")
	flags.DurationVar(&p.WarmUp, "warmup", 0,
		"`time` between ramp and measurement, in which operations run but do not count")
	flags.DurationVar(&p.Grace, "grace", bench.DefaultGrace,
		"longest `time` for operations that end after the measured time, at most 1m")
	flags.IntVar(&p.Backlog, "backlog", bench.DefaultBacklog,
		"`operations` of one session that may wait to start; older ones are dropped and count as errors")
	flags.StringArrayVar(&p.FailIf, "fail-if", nil,
		"`condition` that fails the run, such as 'FETCH p99>100ms'; may be repeated")
	flags.Uint64Var(&p.Seed, "seed", 1, "`number` that seeds the sessions' random choices")
	flags.IntSliceVar(&p.PIDs, "pid", nil,
		"`process` under load, whose CPU and memory are measured with its children; may be repeated")
	flags.StringArrayVar(&p.Units, "unit", nil, "systemd `unit` under load, measured likewise; may be repeated")
	return p
}

// onTerminal reports whether somebody looks at w.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
