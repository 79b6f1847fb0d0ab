package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"portico/bench"
	"portico/bench/replay"
	"portico/health/admin/table"
)

func newBenchProfile() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "List, show and record what the sessions of bench run do",
		Long: `A profile is a file that says what sessions do. Write a built-in profile to a
file, edit it and use it:

    portico bench profile show desktop > mine.yaml
    portico bench run --profile ./mine.yaml ...

Or record real users from a protocol log:

    portico bench profile from-log IMAP4*.LOG* > monday.rec
    portico bench run --replay monday.rec ...`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newBenchProfileList(), newBenchProfileShow(), newBenchProfileFromLog())
	return cmd
}

func newBenchProfileList() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the built-in profiles", Args: cobra.NoArgs}
	output := outputFlags(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		rows, all := table.New("Profile", "Description"), map[string]string{}
		for _, name := range bench.ProfileNames() {
			p, err := bench.LoadProfile(name)
			if err != nil {
				return err
			}
			rows.Add(name, p.Description)
			all[name] = p.Description
		}
		return output.print(cmd, all, rows)
	}
	return list
}

func newBenchProfileShow() *cobra.Command {
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
	return show
}

func newBenchProfileFromLog() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "from-log FILE...",
		Short: "Record sessions from a protocol log",
		Long: `From-log reads protocol log files of one or several nodes, also compressed ones,
and prints a recording: the commands of each session with their times and sizes.
The recording holds no names of users or mailboxes, no addresses and no search
words. The file name - means standard input. A summary, with what was left out,
goes to standard error.

    portico log on --all --for 1h             # on the production server; wait for the hour
    portico bench profile from-log IMAP4*.LOG* > monday.rec
    portico bench run --replay monday.rec ... # plays the sessions at their own times
    portico bench run --profile ./monday.rec ... # the same mix of commands, at any rate`,
		Args: cobra.MinimumNArgs(1),
	}
	sessions := cmd.Flags().Int("sessions", 20_000, "keep at most this `number` of sessions, chosen at random")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		collector, err := replay.NewCollector(*sessions)
		if err != nil {
			return err
		}
		for _, file := range args {
			if err := addLog(ctx, collector, file, cmd.InOrStdin()); err != nil {
				return fmt.Errorf("log %s: %w", file, err)
			}
		}
		recording, err := collector.Recording()
		if err != nil {
			return err
		}
		if err := recording.Write(cmd.OutOrStdout()); err != nil {
			return err
		}
		for _, line := range recording.Summary() {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}
		return nil
	}
	return cmd
}

// addLog reads one file of a log.
func addLog(ctx context.Context, c *replay.Collector, file string, stdin io.Reader) error {
	if file == "-" {
		return c.Add(ctx, stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.Add(ctx, f)
}
