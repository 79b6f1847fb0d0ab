package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
)

func newHealth() *cobra.Command {
	return group(&cobra.Command{
		Use:   "health",
		Short: "Tell whether users can reach their mail, and what is at fault",
		Long: "Probes sign in to health mailboxes and look at what the relay counts; monitors judge what they find; a health set is as unhealthy\n" +
			"as its worst monitor.",
	}, newHealthGet(), newHealthReport(), newHealthAlerts(), newHealthRecovery(), newHealthBundle(), newHealthRepairing(), newHealthItems(), newHealthItem())
}

// monitorFields are what --where may name, and what a monitor has there.
var monitorFields = map[string]func(admin.MonitorRow) string{
	"Server":          func(m admin.MonitorRow) string { return m.Server },
	"State":           func(m admin.MonitorRow) string { return m.State },
	"Name":            func(m admin.MonitorRow) string { return m.Name },
	"TargetResource":  func(m admin.MonitorRow) string { return m.TargetResource },
	"HealthSetName":   func(m admin.MonitorRow) string { return m.HealthSetName },
	"AlertValue":      func(m admin.MonitorRow) string { return m.AlertValue },
	"ServerComponent": func(m admin.MonitorRow) string { return m.ServerComponent },
	"Error":           func(m admin.MonitorRow) string { return m.Error },
	"Dependency":      func(m admin.MonitorRow) string { return m.Dependency },
	"MailboxServer":   func(m admin.MonitorRow) string { return m.MailboxServer },
}

func newHealthGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [HEALTHSET|MONITOR|HEALTHSET/MONITOR[/TARGET]]",
		Short: "List monitors, a row for each target: Get-ServerHealth",
		Long: "Get lists the monitors whose health set, name or identity the pattern fits: * is any characters, ? is one.\n\n" +
			"Exit status: 0 all that is listed is healthy, 1 something is not, 2 the answer is not to be had.",
		Example: "  portico health get 'IMAP*'\n  portico health get 'IMAP*' --server mbx2\n  portico health get --where 'AlertValue -ne Healthy' -o list",
		Args:    cobra.MaximumNArgs(1),
	}
	ask := askFlags(cmd)
	aboutServer(cmd)
	where := cmd.Flags().String("where", "", "only monitors for which this `condition` holds: FIELD -eq|-ne|-like|-notlike VALUE, joined by -and")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		holds, err := condition(*where)
		if err != nil {
			return err
		}
		server, err := ask.serverOrNode(cmd.Context())
		if err != nil {
			return err
		}
		var all []admin.MonitorRow
		if err := ask.get(cmd.Context(), about("/api/v1/health", server), &all); err != nil {
			return err
		}
		wanted, rows, fine := []admin.MonitorRow{}, [][]string{}, true
		for _, m := range all {
			identity := m.HealthSetName + "/" + m.Name
			if len(args) == 1 && !fitsAny(args[0], m.HealthSetName, m.Name, identity, identity+"/"+m.TargetResource) || !holds(m) {
				continue
			}
			wanted = append(wanted, m)
			fine = fine && (m.AlertValue == health.Healthy.String() || m.AlertValue == health.Disabled.String() || m.AlertValue == health.UnInitialized.String())
			row := []string{m.Server, m.State, m.Name, m.TargetResource, m.HealthSetName, m.AlertValue, m.ServerComponent}
			if ask.output == "list" {
				row = append(row, m.LastTransition.Local().Format(time.DateTime), shownTime(m.FirstAlert), shownTime(m.LastExecution), m.LastResult,
					m.Dependency, m.Mailbox, m.MailboxServer, m.Error, m.Description)
			}
			rows = append(rows, row)
		}
		if len(wanted) == 0 && len(args) == 1 && *where == "" {
			return fmt.Errorf("there is no health set or monitor %s", args[0])
		}
		heads := []string{"Server", "State", "Name", "TargetResource", "HealthSetName", "AlertValue", "ServerComponent"}
		if ask.output == "list" {
			heads = append(heads, "LastTransitionTime", "FirstAlertObservedTime", "LastExecutionTime", "LastExecutionResult", "Dependency", "_Mbx",
				"MailboxServer", "Error", "Description")
		}
		if err := ask.print(cmd.OutOrStdout(), wanted, heads, rows); err != nil {
			return err
		}
		if !fine {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// monitorAliases are names that people use for a monitor (EXCHANGE.md section 0).
var monitorAliases = map[string]string{"imaptestdeepmonitor": health.ImapDeepTestMonitor}

// fitsAny says whether a pattern fits one of the names, whatever their case.
func fitsAny(pattern string, names ...string) bool {
	pattern = strings.ReplaceAll(strings.ToLower(pattern), `\`, "/")
	if alias, ok := monitorAliases[pattern]; ok {
		pattern = strings.ToLower(alias)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		ok, err := path.Match(pattern, strings.ToLower(name))
		return ok && err == nil
	})
}

// condition reads what PowerShell's Where-Object takes, as far as it is used here.
func condition(text string) (func(admin.MonitorRow) bool, error) {
	var all []func(admin.MonitorRow) bool
	for part := range strings.SplitSeq(text, " -and ") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 {
			return nil, fmt.Errorf("--where: %q is no condition: write FIELD -eq VALUE", strings.TrimSpace(part))
		}
		name := strings.TrimPrefix(strings.TrimPrefix(words[0], "$_."), "$PSItem.")
		field, err := fieldOf(name)
		if err != nil {
			return nil, err
		}
		value := strings.Trim(strings.Join(words[2:], " "), `"'`)
		test, ok := map[string]func(admin.MonitorRow) bool{
			"-eq":      func(m admin.MonitorRow) bool { return strings.EqualFold(field(m), value) },
			"-ne":      func(m admin.MonitorRow) bool { return !strings.EqualFold(field(m), value) },
			"-like":    func(m admin.MonitorRow) bool { return fitsAny(value, field(m)) },
			"-notlike": func(m admin.MonitorRow) bool { return !fitsAny(value, field(m)) },
		}[strings.ToLower(words[1])]
		if !ok {
			return nil, fmt.Errorf("--where: %q is none of -eq, -ne, -like, -notlike", words[1])
		}
		all = append(all, test)
	}
	return func(m admin.MonitorRow) bool {
		return !slices.ContainsFunc(all, func(test func(admin.MonitorRow) bool) bool { return !test(m) })
	}, nil
}

// fieldOf finds a field by name, and says which may have been meant if there is none.
func fieldOf(name string) (func(admin.MonitorRow) string, error) {
	names := make([]string, 0, len(monitorFields))
	for known, field := range monitorFields {
		if strings.EqualFold(known, name) {
			return field, nil
		}
		names = append(names, known)
	}
	slices.Sort(names)
	best, most := "", 0
	for _, known := range names {
		if n := common(strings.ToLower(known), strings.ToLower(name)); n > most {
			best, most = known, n
		}
	}
	if most >= len(name)/2 && best != "" {
		return nil, fmt.Errorf("--where: there is no field %s; did you mean %s?", name, best)
	}
	return nil, fmt.Errorf("--where: there is no field %s; there are %s", name, strings.Join(names, ", "))
}

// common is how many letters two words have in common, in order from the front and from the back.
func common(a, b string) int {
	front := 0
	for front < min(len(a), len(b)) && a[front] == b[front] {
		front++
	}
	back := 0
	for back < min(len(a), len(b))-front && a[len(a)-1-back] == b[len(b)-1-back] {
		back++
	}
	return front + back
}

func newHealthAlerts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "List the alerts that last: what somebody was told, one for each cause",
		Long:  "Exit status: 0 there is none, 1 there are some, 2 the answer is not to be had.",
		Args:  cobra.NoArgs,
	}
	ask := askFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all := []health.Alert{}
		if err := ask.get(cmd.Context(), "/api/v1/alerts", &all); err != nil {
			return err
		}
		rows := [][]string{}
		for _, a := range all {
			rows = append(rows, []string{a.Cause, a.Since.Local().Format(time.DateTime), strings.Join(a.Monitors, ", "), a.Error})
		}
		if err := ask.print(cmd.OutOrStdout(), all, []string{"Cause", "Since", "Monitors", "Error"}, rows); err != nil {
			return err
		}
		if len(all) > 0 {
			return errBadNews
		}
		return nil
	}
	return cmd
}
