package cli

import (
	"cmp"
	"context"
	"fmt"
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
commands that are slow now and not answered yet, use session list.` + aboutSite,
		Example: "  portico session slow --from 14:30 --to 15:30\n  portico session slow --server mbx1 " +
			"--command fetch",
		Args: cobra.NoArgs,
	}
	api := siteFlags(cmd)
	read := api.slowFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := read(cmd.Context())
		if err != nil {
			return err
		}
		answers, err := getAll[[]admin.SlowCommand](cmd.Context(), api, admin.PathSlow+"?"+q.Query().Encode())
		if err != nil {
			return err
		}
		all, err := admin.SlowFields.First(rowsOf(answers, func(s *admin.SlowCommand) *string { return &s.Node }),
			q.Order)
		if err != nil {
			return err
		}
		rows, nodes := table.New("Ended", "Took", "Command", "Result", "User", "Server").Wide("Client", "Session").
			Keep("Took", "Command", "Result"), []string{}
		for _, s := range all {
			rows.AddNamed(s.Session, table.Time(s.Ended), inSeconds(s.Seconds).Round(time.Millisecond).String(),
				s.Command, s.Result, s.User, s.Server, s.Remote, s.Session)
			nodes = append(nodes, s.Node)
		}
		return cmp.Or(api.print(cmd, all, rows.Second("Node", nodes)), answers.incomplete(),
			api.silentProcesses(cmd.Context()))
	}
	return cmd
}

// slowFlags gives a command the flags that choose slow commands. It returns a function that reads them.
func (a *apiCommand) slowFlags(cmd *cobra.Command) func(context.Context) (admin.SlowQuery, error) {
	q := &admin.SlowQuery{Order: admin.Order{Sort: "-Took"}}
	var from, to string // times as users write them
	flags := cmd.Flags()
	flags.StringVar(&q.User, "user", "", "only commands of this `user`; the name is looked up as at sign-in")
	flags.StringVar(&q.IP, "ip", "", "only clients with this `address or network`, such as 192.0.2.0/24")
	flags.StringVar(&q.Server, "server", "", "only commands to this mailbox `server`")
	flags.StringVar(&q.Session, "session", "", "only commands of the session with this `ID`, also of a closed one")
	flags.StringVar(&q.Command, "command", "", "only this `command`, such as SELECT; FETCH includes UID FETCH")
	flags.StringVar(&from, "from", "24h",
		"only commands that ended after this `time`: 15:04 today or yesterday, 2006-01-02 15:04:05Z as in "+
			"tables, or 2h ago")
	flags.StringVar(&to, "to", "0s", "only commands that ended before this `time`, in the same forms")
	flags.Lookup("to").DefValue = "" // now
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "until" { // its first name, which scripts may use
			name = "to"
		}
		return pflag.NormalizedName(name)
	})
	flags.IntVar(&q.Limit, "limit", 20, "at most this `number` of commands; 0 for all")
	return func(ctx context.Context) (admin.SlowQuery, error) {
		now := time.Now()
		var err error
		if q.From, err = moment(from, now); err != nil {
			return *q, fmt.Errorf("--from: %w", err)
		}
		if q.To, err = moment(to, now); err != nil {
			return *q, fmt.Errorf("--to: %w", err)
		}
		q.To = q.To.Add(time.Second) // a node's clock may be ahead of this one's
		if err := checkSessionID(q.Session); err != nil {
			return *q, err
		}
		if q.User != "" {
			q.User, err = a.existing(ctx, q.User)
		}
		return *q, err
	}
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
