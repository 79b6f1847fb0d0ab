package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/protolog"
)

func newLogOff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "off RULE | --all",
		Short: "End one or all rules of the protocol log",
		Long: `Off ends the rule with the name that log status shows. --all ends every rule,
also those of other operators.` + aboutSite,
		Args: cobra.MaximumNArgs(1),
	}
	api := siteFlags(cmd)
	all := cmd.Flags().Bool("all", false, "end every rule, also those of other operators")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *all == (len(args) == 1) {
			return errors.New("portico log off needs a rule, which portico log status lists, or --all")
		}
		id := strings.Join(args, "")
		status, err := api.logStatus(cmd.Context())
		if err != nil {
			return err
		}
		if err := sameRule(id, status.rules); err != nil {
			return err
		}
		answers, err := postAll[admin.LogEnded](cmd.Context(), api, admin.PathLogOff, admin.LogOffRequest{ID: id})
		if err != nil {
			return err
		}
		rows, shown, nodes := table.New("What", "Was", "Now"), []changedRule{}, []string{}
		for _, from := range answers.answers {
			for _, r := range from.answer.Rules {
				r.Node = from.node
				c := admin.Change{What: "rule " + r.ID, Was: ruleText(r), Now: "ended"}
				rows.AddNamed(r.ID, c.What, c.Was, c.Now)
				shown, nodes = append(shown, changedRule{c, r}), append(nodes, r.Node)
			}
		}
		if id != "" && len(shown) == 0 && answers.incomplete() == nil {
			return fmt.Errorf("there is no rule %q: portico log status lists the rules", id)
		}
		if err := api.print(cmd, map[string]any{"ended": len(shown), "rules": shown},
			rows.Second("Node", nodes)); err != nil {
			return err
		}
		if slices.ContainsFunc(status.rules, func(r admin.LogRule) bool { return r.ID == protolog.RuleOfSetting }) {
			fmt.Fprintln(cmd.ErrOrStderr(),
				"Everything is still logged: to end that, run portico settings set ProtocolLogEnabled=false.")
		}
		return answers.incomplete()
	}
	return cmd
}

// onNode says on which node something is, if the site has several.
func onNode(node string) string {
	if node == "" {
		return ""
	}
	return " on " + node
}

// sameRule refuses a rule whose name is that of another rule on another node.
func sameRule(id string, rules []admin.LogRule) error {
	texts := make(map[string]string) // the node, by what the rule logs
	for _, r := range rules {
		if r.ID == id {
			texts[ruleText(r)] = r.Node
		}
	}
	if len(texts) < 2 {
		return nil
	}
	var all []string
	for _, text := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, fmt.Sprintf("%s on %s", text, texts[text]))
	}
	return fmt.Errorf("rule %s is not the same on all nodes: %s; --node says which is meant", id,
		strings.Join(all, "; "))
}

func newLogStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the rules of the protocol log, and whether its files are writable",
		Long: `Status lists the rules in force, with the time when each ends. Below them it says
how many rows were written, and to which file.` + aboutSite,
		Args: cobra.NoArgs,
	}
	api := siteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		status, err := api.logStatus(cmd.Context())
		if err != nil {
			return err
		}
		if err := api.printRules(cmd, oneOrAll(status.several, status.all), status.rules); err != nil {
			return err
		}
		err = status.incomplete()
		for _, s := range status.all {
			api.printLogState(cmd, s)
			if s.Failing != "" {
				err = errBadNews
			}
		}
		return err
	}
	return cmd
}

// printLogState prints below the rules whether a node's log is writable.
func (a *apiCommand) printLogState(cmd *cobra.Command, s admin.LogStatus) {
	of := ""
	if s.Node != "" {
		of = visibleText(s.Node) + ": "
	}
	if a.forPeople() {
		fmt.Fprintf(cmd.OutOrStdout(), "\n%s%d rows written, %d dropped, %d watching; file: %s\n", of,
			s.Rows, s.Dropped, s.Watchers, cmp.Or(s.File, "none"))
	}
	if s.Pending && a.forPeople() {
		fmt.Fprintln(cmd.OutOrStdout(), of+"The last change has not yet reached all open sessions.")
	}
	if s.Failing != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%sThe protocol log cannot be written since %s: %s\n", of,
			table.Time(*s.Since), visibleText(s.Failing))
	}
}

// logStates are the states of the protocol logs of all nodes.
type logStates struct {
	*fromNodes[admin.LogStatus]
	all   []admin.LogStatus
	rules []admin.LogRule
}

// logStatus reads the states of the protocol logs.
func (a *apiCommand) logStatus(ctx context.Context) (*logStates, error) {
	answers, err := getAll[admin.LogStatus](ctx, a, admin.PathLog)
	if err != nil {
		return nil, err
	}
	states := &logStates{fromNodes: answers, rules: []admin.LogRule{}}
	for _, from := range answers.answers {
		s := from.answer
		s.Node = from.node
		for i := range s.Rules {
			s.Rules[i].Node = from.node
		}
		states.all, states.rules = append(states.all, s), append(states.rules, s.Rules...)
	}
	return states, nil
}
