package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newSessionSlow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "slow",
		Short: "List the slowest commands of the last day",
		Long: `Slow lists the slowest commands of the last day, slowest first. Portico always
keeps some commands that took a mailbox server at least 100 ms, for each server,
command and hour; nothing has to be switched on. A restart clears them. For
commands that are slow now and not answered yet, use session list.`,
		Example: "  portico session slow --from 14:30 --to 15:30\n  portico session slow --server mbx1 " +
			"--command fetch",
		Args: cobra.NoArgs,
	}
	ask := askFlags(cmd)
	user := cmd.Flags().String("user", "", "only commands of this `user`; the name is looked up as at sign-in")
	server := cmd.Flags().String("server", "", "only commands to this mailbox `server`")
	verb := cmd.Flags().String("command", "", "only this `command`, such as SELECT; FETCH includes UID FETCH")
	from := cmd.Flags().String("from", "24h",
		"only commands that ended after this `time`: 15:04 today or yesterday, 2006-01-02 15:04:05Z as in "+
			"tables, or 2h ago")
	until := cmd.Flags().String("to", "0s", "only commands that ended before this `time`, in the same forms")
	cmd.Flags().Lookup("to").DefValue = "" // now
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "until" { // as it was called first
			name = "to"
		}
		return pflag.NormalizedName(name)
	})
	limit := cmd.Flags().Int("limit", 20, "at most this `number` of commands; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		after, err := moment(*from, now)
		if err != nil {
			return fmt.Errorf("--from: %w", err)
		}
		before, err := moment(*until, now)
		if err != nil {
			return fmt.Errorf("--to: %w", err)
		}
		if err := ask.checkNames(cmd.Context(), *server, *verb); err != nil {
			return err
		}
		if *user != "" {
			if *user, err = ask.existing(cmd.Context(), *user); err != nil {
				return err
			}
		}
		var all []admin.SlowCommand
		if err := ask.get(cmd.Context(), admin.PathSlow, &all); err != nil {
			return err
		}
		wanted := []admin.SlowCommand{}
		rows := table.New("Ended", "Took", "Command", "Result", "User", "Server").Wide("Client", "Session").
			Keep("Took", "Command", "Result")
		for _, s := range all {
			switch {
			case *limit > 0 && len(wanted) == *limit:
			case *user != "" && s.User != *user, *server != "" && s.Server != *server, *verb != "" &&
				!isCommand(s.Command, *verb):
			case s.Ended.Before(after), s.Ended.After(before.Add(time.Second)):
				// this Portico's clock may be another's
			default:
				wanted = append(wanted, s)
				rows.AddNamed(s.Session, table.Time(s.Ended), inSeconds(s.Seconds).Round(time.Millisecond).String(),
					s.Command, s.Result,
					s.User, s.Server, s.Remote, s.Session)
			}
		}
		return ask.print(cmd, wanted, rows)
	}
	return cmd
}

// isCommand says whether a command is the one that is meant, or that behind UID.
func isCommand(command, meant string) bool {
	return strings.EqualFold(command, meant) || strings.EqualFold(command, "UID "+meant)
}

// moment reads a point in time as people write it.
func moment(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	if t, err := table.ParseTime(text); err == nil {
		return t, nil
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return clock, fmt.Errorf("%q is not a time: write 15:04, '2006-01-02 15:04:05Z' as in tables, or 2h for "+
			"two hours ago", text)
	}
	t := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
	if t.After(now) {
		t = t.AddDate(0, 0, -1)
	}
	return t, nil
}
