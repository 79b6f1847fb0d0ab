package cli

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"portico/bench"
	"portico/cmd/portico/release"
)

// maxRounds is the highest number of rounds.
const maxRounds = 1000

// benchRun holds the flags of bench run.
type benchRun struct {
	cmd    *cobra.Command
	plan   *bench.Plan
	find   []string // conditions; a search for the highest rate at which they hold
	rounds int
	page   string // HTML file to write
	watch  *watching
	output *output
	remote *bool
	strict *bool
}

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
was short of CPU, so the latencies are not the server's alone; 130 a signal or q
ended the run early, and the report covers the time until then.`,
		Args: cobra.NoArgs,
	}
	run := benchRunFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		interrupt, stop := untilSignals(cmd.Context())
		defer stop()
		return run.do(interrupt)
	}
	return cmd
}

// benchRunFlags gives a command the flags of a plan and those about what happens with the result.
func benchRunFlags(cmd *cobra.Command) *benchRun {
	r := &benchRun{cmd: cmd, plan: planFlags(cmd)}
	flags := cmd.Flags()
	flags.StringArrayVar(&r.find, "find-rate", nil,
		"search for the highest rate at which this `condition` holds, such as 'p99<100ms'; may be repeated")
	flags.IntVar(&r.rounds, "rounds", 1,
		"do the run this `often`, with a report for each; bench diff compares such rounds")
	flags.StringVar(&r.page, "report", "", "also write the report as an HTML page to this `file`")
	r.watch = watchFlags(cmd)
	r.output = outputFlags(cmd)
	r.remote = allowRemoteFlag(cmd)
	r.strict = strictFlag(cmd)
	return r
}

// do runs what the flags ask for, writes the reports, and returns the verdict. When it is interrupted, it reports what
// was measured until then.
func (r *benchRun) do(interrupt *interruption) error {
	ctx := interrupt.ending
	o, err := r.options(ctx)
	if err != nil {
		return err
	}
	o.Cut = interrupt.cutting.Done()
	page, err := openResult("report", r.page)
	if err != nil {
		return err
	}
	defer page.drop()
	if r.watch.log, err = openResult("hdr", r.watch.hdr); err != nil {
		return err
	}
	defer r.watch.log.drop()
	if err := differ(page, r.watch.log); err != nil {
		return err
	}
	stopMetrics, err := r.watch.serveMetrics(ctx, r.cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer stopMetrics()
	if len(r.find) > 0 {
		return r.search(ctx, o, page)
	}
	return r.repeat(ctx, o, interrupt.next, page)
}

// options checks the flags against each other and reads them into options.
func (r *benchRun) options(ctx context.Context) (bench.Options, error) {
	if r.rounds < 1 || r.rounds > maxRounds || r.rounds > 1 && r.page+r.watch.hdr != "" {
		return bench.Options{}, fmt.Errorf("--rounds %d: give a number from 1 to %d, and only 1 with --report or "+
			"--hdr", r.rounds, maxRounds)
	}
	if len(r.find) > 0 && (r.rounds > 1 || r.watch.hdr != "" || r.watch.live) {
		return bench.Options{}, errors.New("--find-rate does its own runs: leave out --rounds, --hdr and --live")
	}
	o, err := r.plan.Options(ctx, net.DefaultResolver, *r.remote)
	o.Version = release.Version()
	return o, err
}

// repeat does all rounds, with a report after each. The user may end the last one early by calling end.
func (r *benchRun) repeat(ctx context.Context, o bench.Options, end func(), page *resultFile) error {
	all := verdict{fine: true}
	for round := range r.rounds {
		report, err := r.once(ctx, o, end)
		if report == nil {
			return endedBefore(ctx, err, r.cmd.ErrOrStderr())
		}
		// standard output comes first: it costs the report nothing if a file cannot be written
		err = errors.Join(r.output.report(r.cmd.OutOrStdout(), report), err, page.write(report.WriteHTML))
		if err != nil {
			return err
		}
		all.fine, all.short = all.fine && report.Fine(), all.short || report.Tool.Short()
		all.ended = report.EndedEarly
		if ctx.Err() != nil {
			if round+1 < r.rounds {
				all.ended = true
				fmt.Fprintf(r.cmd.ErrOrStderr(), "portico: ended early, in round %d of %d\n", round+1, r.rounds)
			}
			break
		}
	}
	return measured(all, *r.strict)
}

// once does one run and shows its progress. The report may be there despite an error.
func (r *benchRun) once(ctx context.Context, o bench.Options, end func()) (*bench.Report, error) {
	stop := r.watch.follow(r.cmd, &o, end)
	report, err := bench.Run(ctx, o)
	return report, errors.Join(err, stop())
}
