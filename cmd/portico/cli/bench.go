package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portico/health/admin/table"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Load-test an IMAP server and measure it"}
	cmd.PersistentPreRunE = noEmptyFlag
	return group(cmd,
		newBenchRun(), newBenchSink(), newBenchProfile(), newBenchCompare(), newBenchDiff(), newBenchMerge(),
		newBenchClean())
}

// noEmptyFlag refuses a flag with an empty text, such as that of an unset variable of a script: the command would do
// something else without a word.
func noEmptyFlag(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && err == nil {
			err = fmt.Errorf("--%s is empty: give a value, or leave it out", f.Name)
		}
	})
	return err
}

// allowRemoteFlag gives a command --allow-remote. Each command that could put load on another machine has it.
func allowRemoteFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("allow-remote", false,
		"allow targets on other machines; use only servers that you may put load on")
}

// strictFlag gives a command --strict. Each command that measures has it.
func strictFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("strict", false, "exit with status 3 if the tool was short of CPU, whatever it measured")
}

// verdict is what a measurement says.
type verdict struct {
	fine  bool
	short bool // the tool was short of CPU
	ended bool // early, by a signal or a key
}

// measured returns the error that sets the exit status of a measurement. A part of a measurement is no measurement. A
// tool that is short of CPU may cause errors itself, so --strict comes before them.
func measured(v verdict, strict bool) error {
	switch {
	case v.ended:
		return errEnded
	case v.short && strict:
		return errDoubt
	case !v.fine:
		return errBadNews
	}
	return nil
}

// report is a result of several tables. Its form for people is always the same.
type report interface {
	Names() []string // of what was measured
	WriteTable(io.Writer) error
	WriteJSON(io.Writer) error
}

// report writes the result of a measurement.
func (o *output) report(w io.Writer, r report) error {
	switch o.form {
	case table.JSON:
		return r.WriteJSON(w)
	case table.Name:
		_, err := fmt.Fprintln(w, strings.Join(r.Names(), "\n"))
		return err
	}
	return r.WriteTable(w)
}

// endingSignals returns the signals that end a measurement early. A hang-up that nohup keeps from the program stays
// without effect.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// untilSignal returns a context that ends at the first signal. The command then still reports what it has measured.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, endingSignals()...)
}

// endedBefore replaces the error of a measurement that a signal has ended before there was anything to report.
func endedBefore(ctx context.Context, err error, errOut io.Writer) error {
	if ctx.Err() == nil {
		return err
	}
	fmt.Fprintln(errOut, "portico: ended early: nothing was measured")
	return errEnded
}
