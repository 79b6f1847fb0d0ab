package cli

import (
	"context"
	"fmt"
	"slices"
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
	api := apiFlags(cmd)
	f := slowFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wants, err := f.filter(cmd.Context(), api)
		if err != nil {
			return err
		}
		var all []admin.SlowCommand
		if err := api.get(cmd.Context(), admin.PathSlow, &all); err != nil {
			return err
		}
		wanted := slices.DeleteFunc(all, func(s admin.SlowCommand) bool { return !wants(s) })
		if f.limit > 0 && len(wanted) > f.limit {
			wanted = wanted[:f.limit]
		}
		rows := table.New("Ended", "Took", "Command", "Result", "User", "Server").Wide("Client", "Session").
			Keep("Took", "Command", "Result")
		for _, s := range wanted {
			rows.AddNamed(s.Session, table.Time(s.Ended), inSeconds(s.Seconds).Round(time.Millisecond).String(),
				s.Command, s.Result, s.User, s.Server, s.Remote, s.Session)
		}
		return api.print(cmd, wanted, rows)
	}
	return cmd
}

// slowFilter holds the flags that choose slow commands.
type slowFilter struct {
	user, server, command string
	from, to              string // times as users write them
	limit                 int    // of commands; 0 is none
}

func slowFlags(cmd *cobra.Command) *slowFilter {
	f := &slowFilter{}
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "only commands of this `user`; the name is looked up as at sign-in")
	flags.StringVar(&f.server, "server", "", "only commands to this mailbox `server`")
	flags.StringVar(&f.command, "command", "", "only this `command`, such as SELECT; FETCH includes UID FETCH")
	flags.StringVar(&f.from, "from", "24h",
		"only commands that ended after this `time`: 15:04 today or yesterday, 2006-01-02 15:04:05Z as in "+
			"tables, or 2h ago")
	flags.StringVar(&f.to, "to", "0s", "only commands that ended before this `time`, in the same forms")
	flags.Lookup("to").DefValue = "" // now
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "until" { // its first name, which scripts may use
			name = "to"
		}
		return pflag.NormalizedName(name)
	})
	flags.IntVar(&f.limit, "limit", 20, "at most this `number` of commands; 0 for all")
	return f
}

// filter returns a function that reports whether a command matches the flags.
func (f *slowFilter) filter(ctx context.Context, api *apiCommand) (func(admin.SlowCommand) bool, error) {
	now := time.Now()
	after, err := moment(f.from, now)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	before, err := moment(f.to, now)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	before = before.Add(time.Second) // the node's clock may be ahead of this one's
	if err := api.checkNames(ctx, f.server, f.command); err != nil {
		return nil, err
	}
	user := f.user
	if user != "" {
		if user, err = api.existing(ctx, user); err != nil {
			return nil, err
		}
	}
	return func(s admin.SlowCommand) bool {
		return (user == "" || s.User == user) && (f.server == "" || s.Server == f.server) &&
			(f.command == "" || isCommand(s.Command, f.command)) &&
			!s.Ended.Before(after) && !s.Ended.After(before)
	}, nil
}

// isCommand reports whether a command is the named one, with or without UID.
func isCommand(command, meant string) bool {
	return strings.EqualFold(command, meant) || strings.EqualFold(command, "UID "+meant)
}

// moment parses a time as users write it.
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
