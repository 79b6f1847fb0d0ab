package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newSession() *cobra.Command {
	return group(&cobra.Command{Use: "session", Short: "List and end the signed-in sessions, and list slow commands"},
		newSessionList(), newSessionShow(), newSessionSlow(), newSessionKill())
}

func newSessionList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who is connected where, and what each session does",
		Long: `List shows each session with its oldest open command. For is how long it has
been open, and Waiting the share of that time it has waited for the mailbox
server. The rest of the time is the client's: it is sending, or does not read.
IDLE waits for new mail, not for the server. With -o wide, Open is the number of
commands without an answer, Commands is how many were answered, and Silent is
the time since the client last sent something.

Fields for --where and --sort: Session, User, Client, Listener, Server,
Database, Command, Age or For (seconds), Busy (Age, but 0 for IDLE), Waiting
(percent), Open, Commands, Silent (seconds).` + aboutSite,
		Example: "  portico session list --user alice\n  portico session list --where 'Age -gt 10s -and Command -ne " +
			"IDLE' --sort -Age\n" +
			"  portico session list --ip 192.0.2.0/24 --server mbx1 -o wide",
		Args: cobra.NoArgs,
	}
	api := siteFlags(cmd)
	var q admin.SessionQuery
	sessionFilterFlags(cmd, &q.SessionFilter)
	flags := cmd.Flags()
	flags.StringVar(&q.Command, "command", "", "only sessions with this open `command`; FETCH includes UID FETCH")
	where := flags.String("where", "",
		"only sessions for which this `condition` holds: FIELD -eq|-ne|-gt|-ge|-lt|-le|-like|-notlike VALUE, "+
			"joined by -and")
	flags.StringVar(&q.Sort, "sort", "User", "sort by this `field`; with - in front of it, in descending order")
	flags.IntVar(&q.Limit, "limit", 0, "at most this `number` of sessions; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conditions, err := parseWhere(admin.SessionFields, *where, api.sessionKinds(cmd.Context()))
		if err != nil {
			return err
		}
		q.Where = conditions.String()
		found, err := api.sessions(cmd.Context(), q)
		if err != nil {
			return err
		}
		return cmp.Or(api.printSessions(cmd, found.rows, found.rows), found.incomplete())
	}
	return cmd
}

// foundSessions are the sessions of all nodes that a query asks for.
type foundSessions struct {
	*fromNodes[[]admin.SessionState]
	rows   []admin.SessionState
	user   string // canonical form of the query's, "" for none
	silent error  // see silentProcesses
}

// incomplete also counts processes of nodes.
func (f *foundSessions) incomplete() error { return cmp.Or(f.fromNodes.incomplete(), f.silent) }

// sessions lists sessions. It returns an error if the filter can match nothing.
func (a *apiCommand) sessions(ctx context.Context, q admin.SessionQuery) (*foundSessions, error) {
	if err := checkSessionID(q.Session); err != nil {
		return nil, err
	}
	if _, err := admin.SessionFields.First(nil, q.Order); err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	typed, name := q.User, admin.UserName{}
	if typed != "" {
		var err error
		if name, err = a.user(ctx, typed); err != nil {
			return nil, err
		}
		q.User = name.User
	}
	answers, err := getAll[[]admin.SessionState](ctx, a, admin.PathSessions+"?"+q.Query().Encode())
	if err != nil {
		return nil, err
	}
	found := &foundSessions{fromNodes: answers, user: q.User, silent: a.silentProcesses(ctx),
		rows: rowsOf(answers, func(s *admin.SessionState) *string { return &s.Node })}
	if found.rows, err = admin.SessionFields.First(found.rows, q.Order); err != nil {
		return nil, err
	}
	if len(found.rows) > 0 || found.incomplete() != nil {
		return found, nil
	}
	switch {
	case q.Session != "":
		return nil, admin.Unknown(fmt.Errorf("session %s is not open; for closed sessions try portico log show "+
			"--session %s", q.Session, q.Session))
	case name.Standing == admin.StandingUnknown:
		return nil, admin.NoSuchUser(typed, name.User)
	case typed != "":
		a.note("%s has no such session", name.User)
	}
	return found, nil
}

// printSessions prints sessions; as JSON it prints value.
func (a *apiCommand) printSessions(cmd *cobra.Command, value any, sessions []admin.SessionState) error {
	rows := table.New("Session", "User", "Server", "Command", "For", "Waiting", "Client").
		Wide("Since", "Open", "Commands", "Silent", "Database", "Listener").
		Keep("User", "Command", "For")
	var nodes []string
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
		nodes = append(nodes, s.Node)
	}
	return a.print(cmd, value, rows.Second("Node", nodes))
}

// sessionFilterFlags gives a command the flags that filter sessions.
func sessionFilterFlags(cmd *cobra.Command, which *admin.SessionFilter) {
	flags := cmd.Flags()
	flags.StringVar(&which.User, "user", "", "only sessions of this `user`; the name is looked up as at sign-in")
	flags.StringVar(&which.IP, "ip", "", "only clients with this `address or network`, such as 192.0.2.0/24")
	flags.StringVar(&which.Server, "server", "", "only sessions on this mailbox `server`")
	flags.StringVar(&which.Session, "session", "", "only the session with this `ID`")
}
