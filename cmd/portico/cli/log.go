package cli

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/protolog"
)

func newLogCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "log",
		Short: "Switch the protocol log on and off, and read it",
		Long: `The protocol log has a row for each command of the sessions that match a rule. A
rule also applies to sessions that are already open, and ends at a set time. The
log holds no secrets.`,
	}, newLogOn(), newLogOff(), newLogStatus(), newLogTail(), newLogShow())
}

// filterFlags gives a command the flags that filter rows. It returns a function that reads the filter, and refuses one
// that can match nothing. find looks a user up by the typed name.
func (a *apiCommand) filterFlags(cmd *cobra.Command, find func(ctx context.Context, typed string) (string,
	error)) func(context.Context) (admin.LogFilter, error) {
	f, slower := &admin.LogFilter{}, time.Duration(0)
	flags := cmd.Flags()
	flags.StringVar(&f.User, "user", "",
		"only sessions of this `user`, looked up as at sign-in; or a pattern: * is any characters, ? is one")
	flags.StringVar(&f.IP, "ip", "", "only clients with this `address or network`, such as 192.0.2.0/24")
	flags.StringVar(&f.Server, "server", "", "only sessions on this mailbox `server`")
	flags.StringVar(&f.Session, "session", "", "only the session with this `ID`; session list shows the IDs")
	flags.StringVar(&f.Command, "command", "", "only this `command`, such as select; proxy is the row of a "+
		"sign-in; fetch includes UID FETCH")
	timeVar(flags, &slower, "slower", 0, "only commands that wait for the mailbox server at least this `time`")
	return func(ctx context.Context) (admin.LogFilter, error) {
		f.Slower = slower.Seconds()
		if err := a.checkNames(ctx, f.Server, f.Command, protolog.OpenSession, protolog.CloseSession, protolog.Proxy,
			"other"); err != nil {
			return *f, err
		}
		if err := checkSessionID(f.Session); err != nil {
			return *f, err
		}
		if f.User == "" || strings.ContainsAny(f.User, "*?") {
			return *f, nil
		}
		var err error
		f.User, err = find(ctx, f.User)
		return *f, err
	}
}

func newLogOn() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "on",
		Short: "Log what sessions do, for a limited time",
		Long: `On starts a rule: sessions that match all given filters are logged from now on,
including open ones, until the rule ends. If a rule has the same filters, it gets
the new end, and no rule is added. Up to 64 rules can be active at the same
time. --all logs every session.` + aboutSite,
		Example: "  portico log on --user ann@example.org\n  portico log on --server mbx1 --slower 500ms --for 1h",
		Args:    cobra.NoArgs,
	}
	api := siteFlags(cmd)
	filter := api.filterFlags(cmd, api.existing)
	all := cmd.Flags().Bool("all", false, "log every session")
	last := timeFlag(cmd, "for", 10*time.Minute, "`time` after which the rule ends; with 0s it ends only with log off")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wanted, err := filter(cmd.Context())
		if err != nil {
			return err
		}
		if *all == (wanted != admin.LogFilter{}) {
			return errors.New("portico log on needs either a filter, such as --user, or --all for every session")
		}
		body := admin.LogOnRequest{LogFilter: wanted, For: last.Seconds()}
		before, err := api.logStatus(cmd.Context())
		if err != nil {
			return err
		}
		answers, err := postAll[admin.LogRule](cmd.Context(), api, admin.PathLogOn, body)
		if err != nil {
			return err
		}
		rules, changes := []admin.LogRule{}, []changedRule{}
		for _, from := range answers.answers {
			rule := from.answer
			rule.Node = from.node
			change := admin.Change{What: "rule " + rule.ID, Was: "none", Now: ruleText(rule)}
			for _, r := range before.rules {
				if r.Node == rule.Node && r.ID == rule.ID && r.Since.Equal(rule.Since) {
					change.Was = ruleText(r)
					api.note("rule %s%s logs this already: only its end has changed", r.ID, onNode(r.Node))
				}
			}
			rules, changes = append(rules, rule), append(changes, changedRule{change, rule})
		}
		return cmp.Or(api.printRules(cmd, oneOrAll(answers.several, changes), rules), answers.incomplete())
	}
	return cmd
}

// changedRule is a rule of the protocol log that a command has started or ended.
type changedRule struct {
	admin.Change
	admin.LogRule
}

// printRules prints rules; as JSON it prints value.
func (a *apiCommand) printRules(cmd *cobra.Command, value any, rules []admin.LogRule) error {
	rows, nodes := table.New("Rule", "Logs", "Since", "Until"), []string{}
	for _, r := range rules {
		until := "log off"
		if r.Until != nil {
			until = table.Time(*r.Until)
		}
		rows.Add(r.ID, ruleText(r), table.Time(r.Since), until)
		nodes = append(nodes, r.Node)
	}
	return a.print(cmd, value, rows.Second("Node", nodes))
}

// ruleText says what a rule logs.
func ruleText(r admin.LogRule) string {
	what := []string{}
	for _, part := range []struct{ name, value string }{
		{"user", r.User}, {"ip", r.IP}, {"server", r.Server}, {"session", r.Session}, {"command", r.Command},
	} {
		if part.value != "" {
			what = append(what, part.name+" "+part.value)
		}
	}
	if r.Slower > 0 {
		what = append(what, "slower than "+inSeconds(r.Slower).String())
	}
	if len(what) == 0 {
		return "everything"
	}
	return strings.Join(what, ", ")
}
