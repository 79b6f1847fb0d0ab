package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newCanary() *cobra.Command {
	return group(&cobra.Command{Use: "canary",
		Short: "Serve some users of a database from one server, and compare it with the others"},
		newCanaryStart(), newCanaryStatus(), newCanarySet(), newCanaryStop())
}

func newCanaryStart() *cobra.Command {
	var o admin.CanaryStart
	var file string
	cmd := &cobra.Command{
		Use:   "start NAME --database DATABASE --server SERVER --percent N",
		Short: "Send some users of a database to one of its servers",
		Long: `Start sends a part of a database's users to one server, for example one with a
new version. The database must be interchangeable, have a copy on the server, and
be active on another one. A user is chosen by a hash of the name, so all sessions
of a user are on the same side, on all nodes. Sessions of users who change sides
end; their mail programs connect again. Nobody else notices.

If the server does not answer, its users are served by the other copies. A
database has one canary at most. Without --for, it runs until it is stopped.
` + aboutStopIf,
		Example: "  portico canary start v24 --database db1 --server mbx9 --percent 1 --for 24h \\\n" +
			"      --stop-if errors=2x,refusals=2x,p95=2x",
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Database, "database", "", "the database whose users are divided")
	flags.StringVar(&o.Server, "server", "", "the mailbox server that the canary's users are sent to")
	flags.Float64Var(&o.Percent, "percent", 0, "how many of the database's users, in steps of 0.01")
	flags.StringVar(&file, "users", "", "`file` with users who are sent there in any case, one in each line")
	length := timeFlag(cmd, "for", 0, "stop by itself after this time")
	flags.StringVar(&o.StopIf, "stop-if", "", "`limits` at which health stops the canary, such as errors=2x,p95=2x")
	cmd.MarkFlagRequired("database")
	cmd.MarkFlagRequired("server")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if !flags.Changed("percent") && file == "" {
			return errors.New("portico canary start needs --percent, --users or both: whom the canary gets")
		}
		if *length < 0 {
			return fmt.Errorf("--for must not be negative, as %v is", *length)
		}
		o.Seconds = length.Seconds()
		if file != "" {
			if o.Users, err = usersIn(file); err != nil {
				return err
			}
		}
		return api.change(cmd, admin.PathOf(admin.PathCanaryStart, args[0]), o)
	}
	return cmd
}

// usersIn reads names of users, one in each line.
func usersIn(file string) (users []string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			users = append(users, line)
		}
	}
	return users, lines.Err()
}

// aboutStopIf explains --stop-if.
const aboutStopIf = `
With --stop-if, ImapCanaryMonitor compares both sides, by the figures of canary
status of all nodes. It is Unhealthy if the canary exceeds a limit for about two
minutes; recovery then stops the canary and sends a notice. Each limit is a
multiple of the other side's figure:

  errors      the share of a command's answers that are NO or BAD
  refusals    the share of sign-ins that are refused
  p50 p95 p99 the server times of a command

A command is compared if both sides have 500 answers, and sign-ins if both sides
have 500. A share needs at least ten errors, and must exceed its limit by more
than chance explains. A server time must exceed its limit by 5 ms.`

func newCanarySet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME [--percent N] [--stop-if LIMITS]",
		Short: "Change how many users are on a canary, or what stops it",
		Long: `Set changes the share, or the limits. Users who are on the canary stay there
while it grows. Sessions of users who change sides end.
` + aboutStopIf,
		Example: "  portico canary set v24 --percent 10\n  portico canary set v24 --stop-if errors=3x",
		Args:    cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	percent := cmd.Flags().Float64("percent", 0, "how many of the database's users, in steps of 0.01")
	stopIf := cmd.Flags().String("stop-if", "", "`limits` at which health stops the canary; \"\" for none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var to admin.CanarySet
		if !cmd.Flags().Changed("percent") && !cmd.Flags().Changed("stop-if") {
			return errors.New("portico canary set needs --percent, --stop-if or both")
		}
		if cmd.Flags().Changed("percent") {
			to.Percent = percent
		}
		if cmd.Flags().Changed("stop-if") {
			to.StopIf = stopIf
		}
		return api.change(cmd, admin.PathOf(admin.PathCanarySet, args[0]), to)
	}
	return cmd
}

func newCanaryStop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop NAME",
		Short: "Send all users back",
		Long:  "Stop ends the sessions of the canary's users, who then sign in where the others are.",
		Args:  cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var all []admin.Canary
		if err := api.get(cmd.Context(), admin.PathCanaries, &all); err != nil {
			return err
		}
		if err := knownCanary(all, args[0]); err != nil {
			return err
		}
		return api.change(cmd, admin.PathOf(admin.PathCanaryStop, args[0]), admin.None{})
	}
	return cmd
}

// knownCanary refuses a name that no canary has.
func knownCanary(all []admin.Canary, name string) error {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	return admin.NoSuch("canary", name, names)
}

func newCanaryStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Compare how users are served on a canary and on the other servers",
		Long: `Status shows the share of each canary, and for both sides how many sign-ins there
were and how many of them were refused, and for each command how many answers,
how many of them were NO or BAD (Failed), and how long the servers took: what 50,
95 and 99 % of the answers did not exceed, within 19 %. Figures are since the
start of the canary, at most of the last hour, and of all users of these servers.
"too few" means less than ` + strconv.Itoa(admin.CanaryEnough) + ` answers. -o wide also shows sessions, and the limits
of --stop-if.

Exit status: 0 there are canaries, 1 there is none, 2 the command failed, or no
canary has that name.` + aboutSite,
		Args: cobra.MaximumNArgs(1),
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := url.Values{"buckets": {"true"}} // to merge the answers of nodes
		answers, err := getAll[[]admin.Canary](cmd.Context(), api, admin.PathCanaries+"?"+q.Encode())
		if err != nil {
			return err
		}
		all := admin.MergeCanaries(answers.list())
		if len(args) > 0 {
			if err := knownCanary(all, args[0]); err != nil {
				return cmp.Or(answers.incomplete(), err)
			}
			all = slices.DeleteFunc(all, func(c admin.Canary) bool { return c.Name != args[0] })
		}
		if err := errors.Join(api.printCanaries(cmd, all), answers.incomplete()); err != nil {
			return err
		}
		if len(all) == 0 {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// printCanaries prints a row for each side's sign-ins, and below it one for each command.
func (a *apiCommand) printCanaries(cmd *cobra.Command, all []admin.Canary) error {
	rows := table.New("Canary", "Side", "Servers", "Command", "Count", "Failed", "P50", "P95", "P99").
		Wide("Sessions", "StopIf", "Until", "Reason")
	for _, c := range all {
		for i, arm := range c.Arms {
			side := "canary " + strconv.FormatFloat(c.Percent, 'f', -1, 64) + " %"
			if i > 0 {
				side = "others"
			}
			add := func(command string, count, failed uint64, times ...string) {
				share := strconv.FormatFloat(100*admin.CanaryShare(failed, count), 'f', 2, 64) + " %"
				cells := append([]string{c.Name, side, cmp.Or(strings.Join(arm.Servers, ","), "-"), command,
					strconv.FormatUint(count, 10), enough(count, share)}, times...)
				rows.AddNamed(c.Name, append(cells, strconv.FormatInt(arm.Sessions, 10), cmp.Or(c.StopIf, "-"),
					shownTime(c.Until), c.Reason)...)
			}
			refused := arm.RefusedSignIns()
			add("sign-in", arm.SignIns+refused, refused, "-", "-", "-")
			for _, v := range arm.Verbs {
				took := func(seconds float64) string { return enough(v.Commands, table.Latency(inSeconds(seconds))) }
				add(v.Verb, v.Commands, v.Errors, took(v.P50), took(v.P95), took(v.P99))
			}
		}
	}
	return a.print(cmd, all, rows)
}

// enough is a figure of a number of answers, if they are enough to say so.
func enough(answers uint64, figure string) string {
	switch {
	case answers == 0:
		return "-"
	case answers < admin.CanaryEnough:
		return "too few"
	}
	return figure
}
