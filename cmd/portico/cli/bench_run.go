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
		Short: "Sign sessions in, have them work by a profile, and report",
		Long: "Run signs sessions in to an IMAP server, has them work by a profile for a while, measures every " +
			"command and checks every\n" +
			"answer. By default operations are due at a rate, whatever the server does, and latencies count from " +
			"when they were due; with\n" +
			"--closed each session waits for its answer before it goes on. Mailboxes that sessions make are removed " +
			"at the end.\n\n" +
			"Conditions fail the run: --fail-if [WHAT] MEASURE COMPARISON LIMIT, for example 'p99>100ms', " +
			"'errors>0', 'rate<950' or\n" +
			"'FETCH p99.9>1s'. WHAT is a command or a row of the report; without it the condition is about whole " +
			"operations.\n" +
			"Measures are pN, mean, max, errors (a number or a percentage) and rate (done a second).\n\n" +
			"With --replay, it plays the sessions of a recording (bench profile from-log) in their own times, by " +
			"test users, for\nthe whole recording or --duration; --speed 2 is twice as fast.\n\n" +
			"With --find-rate, it searches for the highest rate at which conditions hold, by runs of 10s or " +
			"--duration each.\n\n" +
			"Exit status: 0 everything that was due was done, and rightly; 1 it was not, or a condition failed; 2 " +
			"the run could not be done;\n" +
			"3 with --strict: the tool was short of CPU, so that latencies are its own.",
		Args: cobra.NoArgs,
	}
	plan := runFlags(cmd)
	find := cmd.Flags().StringArray("find-rate", nil,
		"search for the highest rate at which this `condition` holds, such as 'p99<100ms'; may be repeated")
	rounds := cmd.Flags().Int("rounds", 1,
		"how `often` the run is done, with a report for each; bench diff compares such rounds")
	page := cmd.Flags().String("report", "", "also write the report as a page, to this HTML `file`")
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
			return fmt.Errorf("--rounds %d: want 1 to %d, and one alone with --report or --hdr", *rounds, maxRounds)
		}
		if len(*find) > 0 {
			if *rounds > 1 || watch.hdr != "" || watch.live {
				return errors.New("--find-rate makes runs of its own: leave out --rounds, --hdr and --live")
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
			return fmt.Errorf("--%s and --replay: a recording has its own sessions and times; leave one out", name)
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
	flags.StringArrayVar(&p.Target, "target", nil, "`host:port` of the server; may be repeated, sessions take turns")
	flags.TextVar(&p.TLS, "tls", bench.TLSNone, "how connections get TLS: `none, starttls or implicit`")
	flags.StringVar(&p.CA, "ca", "",
		"PEM `file` with the authority of the server's certificate; the system's by default")
	flags.BoolVar(&p.Insecure, "insecure", false, "do not check the server's certificate")
	flags.StringVar(&p.ServerName, "server-name", "",
		"`name` the certificate must be for; the target's host by default")
	flags.StringVar(&p.Cert, "cert", "", "PEM `file` with the client's certificate; {user} in its name is the user's")
	flags.StringVar(&p.Key, "key", "", "PEM `file` with its key, likewise; the same file by default")
	flags.StringVar(&p.TLSVersion, "tls-version", "", "only this `version` of TLS: 1.2 or 1.3")
	flags.StringVar(&p.Curve, "tls-curve", "", "only this key `exchange`: X25519, P256 or X25519MLKEM768")
	flags.StringVar(&p.Users, "users", "", "a user's name, or a `pattern` with a range: user%04d:1-2000")
	flags.StringVar(&p.PasswordFile, "password-file", "",
		"`file` with one line, everybody's password or token, or with lines NAME:PASSWORD")
	flags.TextVar(&p.Mechanism, "mechanism", bench.MechanismLogin,
		"how to sign in: `login, plain, xoauth2, oauthbearer or external`; external needs --cert")
	flags.BoolVar(&p.ID, "id", false, "send ID after each sign-in")
	flags.BoolVar(&p.Compress, "compress", false, "compress connections after sign-in (COMPRESS=DEFLATE)")
	flags.DurationVar(&p.Timeout, "timeout", bench.DefaultTimeout,
		"`time` from the sending of a command to its answer; untagged responses do not extend it")
	flags.StringArrayVar(&p.Source, "source", nil, "source `address`; may be repeated, sessions take turns")
	cmd.MarkFlagRequired("target")
	cmd.MarkFlagRequired("users")
}

// runFlags fills a plan from flags.
func runFlags(cmd *cobra.Command) *bench.Plan {
	p := &bench.Plan{}
	connectionFlags(cmd, p)
	flags := cmd.Flags()
	flags.StringVar(&p.Profile, "profile", "noop",
		"what sessions do: a `name` of bench profile list, or a file (with a / or . in its name)")
	flags.StringVar(&p.Replay, "replay", "",
		"play the sessions of this recording in their own times: a `file` of bench profile from-log")
	flags.Float64Var(&p.Speed, "speed", 0, "`speed` of a replay, 0.01 to 1000: 2 is twice as fast; 1 by default")
	flags.TextVar(&p.Verify, "verify", bench.VerifyAll,
		"which answers are checked: `all or wire`; wire leaves out what they mean, for bench sink")
	flags.IntVar(&p.Sessions, "sessions", bench.DefaultSessions, "how many sessions, `at most` 50000")
	flags.BoolVar(&p.Closed, "closed", false,
		"closed loop: a session's next operation begins when the one before has ended")
	flags.Float64Var(&p.Rate, "rate", 0,
		"`operations` due a second, of all sessions together; the profile's by default")
	flags.DurationVar(&p.Duration, "duration", bench.DefaultDuration, "measured time, `at most` 24h")
	flags.DurationVar(&p.Ramp, "ramp", 0, "`time` before it, over which sessions sign in")
	flags.DurationVar(&p.WarmUp, "warmup", 0,
		"`time` between the two in which operations are carried out and do not count")
	flags.DurationVar(&p.Grace, "grace", bench.DefaultGrace,
		"`time` an operation may take in all that ends after the measured time, at most 1m")
	flags.IntVar(&p.Backlog, "backlog", bench.DefaultBacklog,
		"`operations` of one session that may be due and not begun; older ones are given up, and are errors")
	flags.StringArrayVar(&p.FailIf, "fail-if", nil,
		"`condition` that fails the run, such as 'FETCH p99>100ms'; may be repeated")
	flags.Uint64Var(&p.Seed, "seed", 1, "`number` that decides the choices sessions make")
	flags.IntSliceVar(&p.PIDs, "pid", nil,
		"`process` under load, for its CPU and memory, children included; may be repeated")
	flags.StringArrayVar(&p.Units, "unit", nil, "systemd `unit` under load, likewise; may be repeated")
	return p
}

// onTerminal reports whether somebody looks at w.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
