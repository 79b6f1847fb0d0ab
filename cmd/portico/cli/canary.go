package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
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
database has one canary at most.`,
		Example: "  portico canary start v24 --database db1 --server mbx9 --percent 1 --for 24h",
		Args:    cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Database, "database", "", "whose users")
	flags.StringVar(&o.Server, "server", "", "where they are sent")
	flags.Float64Var(&o.Percent, "percent", 0, "how many of them, in steps of 0.01")
	flags.StringVar(&file, "users", "", "`file` with users who are sent there in any case, one in each line")
	length := timeFlag(cmd, "for", 0, "stop by itself after this time")
	cmd.MarkFlagRequired("database")
	cmd.MarkFlagRequired("server")
	cmd.MarkFlagsOneRequired("percent", "users")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
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

func newCanarySet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME --percent N",
		Short: "Change how many users are on a canary",
		Long: `Set changes the share. Users who are on the canary stay there while it grows.
Sessions of users who change sides end.`,
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd)
	percent := cmd.Flags().Float64("percent", 0, "how many of the database's users, in steps of 0.01")
	cmd.MarkFlagRequired("percent")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return api.change(cmd, admin.PathOf(admin.PathCanarySet, args[0]), admin.CanarySet{Percent: *percent})
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
		return api.change(cmd, admin.PathOf(admin.PathCanaryStop, args[0]), admin.None{})
	}
	return cmd
}

func newCanaryStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Compare how users are served on a canary and on the other servers",
		Long: `Status shows the share of each canary, and for both sides the sessions, sign-ins
and refusals, and for each command how long the servers took: what 50, 95 and
99 % of the answers did not exceed. Figures are since the start of the canary,
at most of the last hour, and of all users of these servers. "too few" means less
than ` + strconv.Itoa(admin.CanaryEnough) + ` answers.

Exit status: 0 there is such a canary, 1 there is none.` + aboutSite,
		Args: cobra.MaximumNArgs(1),
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answers, err := getAll[[]admin.Canary](cmd.Context(), api, admin.PathCanaries)
		if err != nil {
			return err
		}
		all := []admin.Canary{}
		for _, from := range answers.answers {
			for _, c := range from.answer {
				if c.Node = from.node; len(args) == 0 || c.Name == args[0] {
					all = append(all, c)
				}
			}
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

// printCanaries prints a row for each side, and below it one for each command.
func (a *apiCommand) printCanaries(cmd *cobra.Command, all []admin.Canary) error {
	rows := table.New("Canary", "Side", "Servers", "Command", "Count", "P50", "P95", "P99").
		Wide("Sessions", "SignIns", "Refused", "Until", "Reason")
	var nodes []string
	for _, c := range all {
		for i, arm := range c.Arms {
			side := "canary " + strconv.FormatFloat(c.Percent, 'f', -1, 64) + " %"
			if i > 0 {
				side = "others"
			}
			var refused uint64
			for _, n := range arm.Refused {
				refused += n
			}
			last := []string{strconv.FormatInt(arm.Sessions, 10), strconv.FormatUint(arm.SignIns, 10),
				strconv.FormatUint(refused, 10), shownTime(c.Until), c.Reason}
			verbs := arm.Verbs
			if len(verbs) == 0 {
				verbs = []admin.CanaryVerb{{Verb: "-"}}
			}
			for _, v := range verbs {
				rows.AddNamed(c.Name, append([]string{c.Name, side, cmp.Or(strings.Join(arm.Servers, ","), "-"),
					v.Verb, strconv.FormatUint(v.Commands, 10), enough(v, v.P50), enough(v, v.P95), enough(v, v.P99)},
					last...)...)
				nodes = append(nodes, c.Node)
			}
		}
	}
	return a.print(cmd, all, rows.Second("Node", nodes))
}

// enough is a server time, if there are enough answers to say so.
func enough(v admin.CanaryVerb, seconds float64) string {
	switch {
	case v.Commands == 0:
		return "-"
	case v.Commands < admin.CanaryEnough:
		return "too few"
	}
	return table.Latency(inSeconds(seconds))
}
