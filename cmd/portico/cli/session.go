package cli

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newSession() *cobra.Command {
	return group(&cobra.Command{Use: "session", Short: "List the signed-in sessions and the slowest commands"},
		newSessionList(), newSessionSlow())
}

// sessionFields are the fields for --where and --sort.
var sessionFields = fields[admin.SessionState]{
	"Session":  func(s admin.SessionState) string { return s.ID },
	"User":     func(s admin.SessionState) string { return s.User },
	"Client":   func(s admin.SessionState) string { return s.Remote },
	"Listener": func(s admin.SessionState) string { return s.Listener },
	"Server":   func(s admin.SessionState) string { return s.Server },
	"Database": func(s admin.SessionState) string { return s.Database },
	"Command":  func(s admin.SessionState) string { return s.Command },
	"Age":      func(s admin.SessionState) string { return strconv.FormatFloat(s.Age, 'f', -1, 64) },
	// the name of the column
	"For":      func(s admin.SessionState) string { return strconv.FormatFloat(s.Age, 'f', -1, 64) },
	"Waiting":  func(s admin.SessionState) string { return strconv.FormatFloat(100*s.Waiting, 'f', -1, 64) },
	"Open":     func(s admin.SessionState) string { return strconv.Itoa(s.Open) },
	"Commands": func(s admin.SessionState) string { return strconv.FormatUint(s.Commands, 10) },
	"Silent":   func(s admin.SessionState) string { return strconv.FormatFloat(s.Silent, 'f', -1, 64) },
}

func newSessionList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who is connected where, and what each session does",
		Long: `List shows each session with its oldest open command: how long it has been open,
and the share of that time it has waited for the mailbox server. The rest of the
time is the client's: it is sending, or does not read. IDLE waits for new mail,
not for the server.

Fields for --where and --sort: Session, User, Client, Listener, Server,
Database, Command, Age or For (seconds), Waiting (percent), Open, Commands,
Silent (seconds).`,
		Example: "  portico session list --user alice\n  portico session list --where 'Age -gt 10s -and Command -ne " +
			"IDLE' --sort -Age\n" +
			"  portico session list --ip 192.0.2.0/24 --server mbx1 -o wide",
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	var which admin.SessionFilter
	sessionFilterFlags(cmd, &which)
	where := cmd.Flags().String("where", "",
		"only sessions for which this `condition` holds: FIELD -eq|-ne|-gt|-ge|-lt|-le|-like|-notlike VALUE, "+
			"joined by -and")
	by := cmd.Flags().String("sort", "User", "sort by this `field`; with - in front of it, in descending order")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		holds, err := sessionFields.where(*where, api.sessionKinds(cmd.Context()))
		if err != nil {
			return err
		}
		wanted, err := api.fitting(cmd.Context(), which)
		if err != nil {
			return err
		}
		wanted = slices.DeleteFunc(append([]admin.SessionState{}, wanted...),
			func(s admin.SessionState) bool { return !holds(s) })
		if err := sessionFields.sort(wanted, *by); err != nil {
			return err
		}
		return api.printSessions(cmd, wanted, wanted)
	}
	return cmd
}

// printSessions prints sessions; as JSON it prints value.
func (a *apiCommand) printSessions(cmd *cobra.Command, value any, sessions []admin.SessionState) error {
	rows := table.New("Session", "User", "Server", "Command", "For", "Waiting", "Client").
		Wide("Since", "Open", "Commands", "Silent", "Database", "Listener").
		Keep("User", "Command", "For")
	for _, s := range sessions {
		age, waiting := "", ""
		if s.Open > 0 {
			age, waiting = inSeconds(s.Age).Round(time.Second).String(), fmt.Sprintf("%.0f%%", 100*s.Waiting)
		}
		if s.Idling {
			waiting = ""
		}
		rows.Add(s.ID, s.User, s.Server, s.Command, age, waiting, s.Remote,
			shownTime(s.Began), strconv.Itoa(s.Open), strconv.FormatUint(s.Commands, 10),
			inSeconds(s.Silent).Round(time.Second).String(), s.Database, s.Listener)
	}
	return a.print(cmd, value, rows)
}

// sessionFilterFlags gives a command the flags that filter sessions.
func sessionFilterFlags(cmd *cobra.Command, which *admin.SessionFilter) {
	flags := cmd.Flags()
	flags.StringVar(&which.User, "user", "", "only sessions of this `user`; the name is looked up as at sign-in")
	flags.StringVar(&which.IP, "ip", "", "only clients with this `address or network`, such as 192.0.2.0/24")
	flags.StringVar(&which.Server, "server", "", "only sessions on this mailbox `server`")
	flags.StringVar(&which.Session, "session", "", "only the session with this `ID`")
}
