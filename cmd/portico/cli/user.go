package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newUser() *cobra.Command {
	return group(&cobra.Command{Use: "user",
		Short: "Find a user's mailbox, assign a user to a database, and end sessions"},
		newUserWhere(), newUserMove(), newUserKick())
}

func newUserWhere() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "where USER",
		Short: "Show which database and server a user's mailbox is on",
		Long: `Where asks the directory as a sign-in would, but without the password. It says
so if the directory refuses the user, does not know the user, or does not
answer. It also asks whether the user's mailbox server answers, and since when
it has not. It lists the other copies of the database and the user's penalties.
Without a directory, Portico cannot tell whether a user exists; where then says
so.

Exit status: 0 the user can sign in, as far as Portico can tell without the
password; 1 the user cannot sign in; 2 Portico could not find out.` + aboutSite,
		Args: cobra.ExactArgs(1),
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answers, err := getAll[admin.UserLocation](cmd.Context(), api, admin.PathOf(admin.PathUser, args[0]))
		if err != nil {
			return err
		}
		all := []admin.UserLocation{}
		for _, from := range answers.answers {
			from.answer.Node = from.node
			all = append(all, from.answer)
		}
		return cmp.Or(api.printLocations(cmd, all, answers.several), answers.incomplete(),
			api.silentProcesses(cmd.Context()))
	}
	return cmd
}

// printLocations prints where the nodes find a user's mailbox. several says whether the site has several nodes.
func (a *apiCommand) printLocations(cmd *cobra.Command, all []admin.UserLocation, several bool) error {
	rows := table.New("User", "Database", "Server", "State", "Moved", "Sessions").Wide("Since", "Reason")
	var nodes []string
	possible := true
	for i := range all {
		at := &all[i]
		if at.SignIn == nil { // from a Portico of an older version
			at.SignIn = &admin.SignInState{Possible: true}
		}
		now := at.SignIn
		possible = possible && now.Possible
		rows.Add(at.User, at.Database, at.Server, now.State, yesNo(at.Moved), strconv.Itoa(at.Sessions),
			shownTime(now.Since), now.Reason)
		nodes = append(nodes, at.Node)
	}
	if err := a.print(cmd, oneOrAll(several, all), rows.Second("Node", nodes)); err != nil {
		return err
	}
	if a.forPeople() {
		a.explainSignIns(cmd, all)
	}
	if !possible {
		return errBadNews
	}
	return nil
}

// explainSignIns says below the rows what else the nodes know, once for all nodes that say the same.
func (a *apiCommand) explainSignIns(cmd *cobra.Command, all []admin.UserLocation) {
	nodes, texts := make(map[string][]string), []string{}
	for _, at := range all {
		text := signInText(at)
		if text == "" {
			continue
		}
		if nodes[text] == nil {
			texts = append(texts, text)
		}
		nodes[text] = append(nodes[text], at.Node)
	}
	for _, text := range texts {
		if of := strings.Join(nodes[text], ", "); of != "" && len(nodes[text]) < len(all) {
			text = fmt.Sprintf("\nOn %s:%s", visibleText(of), text)
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
	}
}

// signInText says what prevents the user from signing in, and other relevant facts.
func signInText(at admin.UserLocation) string {
	out, now := &strings.Builder{}, at.SignIn
	if now.Reason != "" {
		what := "Note"
		if !now.Possible {
			what = at.User + " cannot sign in"
		}
		since := ""
		if now.Since != nil {
			since = "; the server has failed since " + shownTime(now.Since)
		}
		fmt.Fprintf(out, "\n%s: %s%s.\n", what, visibleText(now.Reason), since)
		for _, c := range now.Copies {
			if c.Server != at.Server {
				fmt.Fprintf(out, "The copy of %s on %s is %s.\n", c.Database, c.Server, c.Status)
			}
		}
	}
	if at.Standing == admin.StandingUndecided {
		fmt.Fprintf(out, "\n%s\n", visibleText(standingText(at)))
	}
	if n := len(now.Penalties); n > 0 {
		fmt.Fprintf(out, "\n%s has failed sign-ins: portico penalty list --user %s\n", at.User, at.User)
	}
	return out.String()
}

// standingText says what is known about a user whom no directory has confirmed.
func standingText(at admin.UserLocation) string {
	known := "No session of this name is open. Only a sign-in shows whether it is a user's."
	if at.Sessions > 0 {
		known = fmt.Sprintf("A mailbox server has accepted this user: %s open.", areCounted(at.Sessions, "session"))
	}
	who := "Routing sends"
	if at.Moved {
		who = "An operator's move sends"
	}
	return fmt.Sprintf("No directory is configured, so Portico cannot tell whether user\n%s exists. %s sign-ins of "+
		"this name to\n%s on %s.\n%s", at.User, who, at.Database, at.Server, known)
}

// areCounted is table.Counted with the verb.
func areCounted(n int, word string) string {
	if n == 1 {
		return table.Counted(n, word) + " is"
	}
	return table.Counted(n, word) + " are"
}

func newUserMove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move USER DATABASE|--clear",
		Short: "Assign a user to another database, overriding the directory",
		Long: `Move holds the user's sign-ins, waits for those in progress, and ends the user's
sessions. From then on it routes the user to the other database, also after a
restart. --clear goes back to the directory's answer. Portico moves no mail:
copy the mail first, and copy changes once more after the move. At most 50,000
users can be moved in this way; for more, change the directory.

Move changes the node that it asks, and nodes that share its store. If the
configuration has other nodes, portico user where shows where each of them
routes the user, and --node moves the user there too.`,
		Args: cobra.RangeArgs(1, 2),
	}
	api := apiFlags(cmd)
	back := cmd.Flags().Bool("clear", false, "route the user as the directory says again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *back == (len(args) == 2) {
			return errors.New("give a database, or --clear")
		}
		database := ""
		if !*back {
			database = args[1]
		}
		var at admin.UserLocation
		if err := api.post(cmd.Context(), admin.PathOf(admin.PathUserMove, args[0]),
			admin.UserMove{Database: database}, &at); err != nil {
			return err
		}
		row := table.New("User", "Was", "Now", "Server", "Moved")
		row.Add(at.User, cmp.Or(at.Was, at.Database), at.Database, at.Server, yesNo(at.Moved))
		return api.print(cmd, at, row)
	}
	return cmd
}

func newUserKick() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kick [USER]",
		Short: "End the sessions of a user, an address or a mailbox server with BYE",
		Long: `Kick ends the sessions that match all filters, and lists them. It does not
prevent new sign-ins. Without a user or a session it asks first.` + aboutSite,
		Example: "  portico user kick alice\n  portico user kick --session 05c2907680677bf6\n  portico user kick " +
			"--ip 192.0.2.7 --yes",
		Args: cobra.MaximumNArgs(1),
	}
	api := siteFlags(cmd)
	var which admin.SessionFilter
	flags := cmd.Flags()
	flags.StringVar(&which.Session, "session", "", "only the session with this `ID`")
	flags.StringVar(&which.IP, "ip", "", "only clients with this `address or network`, such as 192.0.2.0/24")
	flags.StringVar(&which.Server, "server", "", "only sessions on this mailbox `server`")
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		which.User = strings.Join(args, "")
		if which == (admin.SessionFilter{}) {
			return errors.New("portico user kick needs USER, --session, --ip or --server")
		}
		found, err := api.sessions(cmd.Context(), admin.SessionQuery{SessionFilter: which})
		if err != nil {
			return err
		}
		if n := len(found.rows); which.User == "" && which.Session == "" && n > 0 && !*yes {
			if err := confirm(cmd, "This ends "+table.Counted(n, "session")+"."); err != nil {
				return err
			}
		}
		which.User = found.user
		return api.kick(cmd, which)
	}
	return cmd
}
