package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"portico/bench"
)

func newBench() *cobra.Command {
	return group(&cobra.Command{Use: "bench", Short: "Put load on an IMAP server, and measure it"},
		newBenchRun(), newBenchSink(), newBenchProfile(), newBenchCompare())
}

// allowRemoteFlag is on each command that could reach another machine.
func allowRemoteFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("allow-remote", false, "also other machines than this one; only those you may put load on")
}

// outputFlag is -o; it is checked when it is read.
func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "table", "how results are written: `table or json`")
}

// reportWriter is a result that can be written in both ways.
type reportWriter interface {
	WriteTable(io.Writer) error
	WriteJSON(io.Writer) error
}

func writeResult(w io.Writer, format string, result reportWriter) error {
	if format == "json" {
		return result.WriteJSON(w)
	}
	return result.WriteTable(w)
}

func checkOutput(format string) error {
	if format != "table" && format != "json" {
		return fmt.Errorf("--output %q is neither table nor json", format)
	}
	return nil
}

// untilSignal ends the work at the first signal, so that what was measured is still reported.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// writeFile writes a report to a file.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	return write(f)
}

func newBenchProfile() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "What sessions of bench run do",
		Long: "A profile is a file that says what sessions do. Write a built-in one to a file, edit it, and give bench run the file:\n\n" +
			"    portico bench profile show desktop > mine.yaml\n" +
			"    portico bench run --profile ./mine.yaml ...",
		Args: cobra.NoArgs,
	}
	list := &cobra.Command{Use: "list", Short: "List the built-in profiles", Args: cobra.NoArgs}
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range bench.ProfileNames() {
			p, err := bench.LoadProfile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%-10s %s\n", name, p.Description)
		}
		return nil
	}
	show := &cobra.Command{Use: "show NAME", Short: "Print a built-in profile", Args: cobra.ExactArgs(1)}
	show.ValidArgs = bench.ProfileNames()
	show.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := bench.ProfileText(args[0])
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	cmd.AddCommand(list, show)
	return cmd
}
