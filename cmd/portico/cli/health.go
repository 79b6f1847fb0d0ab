package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newHealth() *cobra.Command {
	return group(&cobra.Command{
		Use:   "health",
		Short: "Show whether users can reach their mail, and which part fails",
		Long: `Probes sign in to health mailboxes and read the relay's counters. Monitors judge
the probe results. A health set is as unhealthy as its worst monitor.`,
	}, newHealthGet(), newHealthReport(), newHealthAlerts(), newHealthRecovery(), newHealthBundle(),
		newHealthRepairing(), newHealthItems(), newHealthExplain())
}

// monitorFields are the fields for --where, and their values.
var monitorFields = admin.Fields[admin.MonitorRow]{
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
		Long: `Get lists the monitors whose health set, name or identity matches the pattern: *
is any characters, ? is one.

Exit status: 0 all listed monitors are Healthy, 1 one is not, 2 Portico does not
answer.`,
		Example: "  portico health get 'IMAP*'\n  portico health get 'IMAP*' --server mbx2\n  portico health get " +
			"--failed -o list",
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	aboutServer(cmd)
	where := cmd.Flags().String("where", "",
		"only monitors for which this `condition` holds: FIELD -eq|-ne|-gt|-ge|-lt|-le|-like|-notlike VALUE, "+
			"joined by -and")
	failed := cmd.Flags().Bool("failed", false,
		"only monitors in trouble: not Healthy, UnInitialized or Disabled")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conditions, err := parseWhere(monitorFields, *where, api.monitorKinds(cmd.Context()))
		if err != nil {
			return err
		}
		holds := monitorFields.Test(conditions)
		server, err := api.serverOrNode(cmd.Context())
		if err != nil {
			return err
		}
		var all []admin.MonitorRow
		if err := api.get(cmd.Context(), about(admin.PathMonitors, server), &all); err != nil {
			return err
		}
		wanted := []admin.MonitorRow{}
		for _, m := range all {
			if holds(m) && (len(args) == 0 || namesMonitor(args[0], m)) {
				wanted = append(wanted, m)
			}
		}
		if len(wanted) == 0 && len(args) == 1 && *where == "" {
			return noMonitor(args[0], all)
		}
		if *failed {
			wanted = slices.DeleteFunc(wanted, func(m admin.MonitorRow) bool { return isWell(m.AlertValue) })
		}
		return api.printMonitors(cmd, wanted)
	}
	return cmd
}

// printMonitors prints monitors.
func (a *apiCommand) printMonitors(cmd *cobra.Command, monitors []admin.MonitorRow) error {
	if err := a.print(cmd, monitors, monitorTable(monitors)); err != nil {
		return err
	}
	a.explainFlapping(cmd, monitors)
	if slices.ContainsFunc(monitors, func(m admin.MonitorRow) bool { return !isWell(m.AlertValue) }) {
		return errBadNews
	}
	return nil
}

// namesMonitor reports whether a pattern matches a monitor's health set, name or identity.
func namesMonitor(pattern string, m admin.MonitorRow) bool {
	identity := m.HealthSetName + "/" + m.Name
	return fitsAny(pattern, m.HealthSetName, m.Name, identity, identity+"/"+m.TargetResource)
}

// noMonitor is the error for a pattern that matches no monitor.
func noMonitor(pattern string, all []admin.MonitorRow) error {
	isPattern := func(value string) bool { return strings.EqualFold(value, pattern) }
	if slices.ContainsFunc(health.AlertValues(), isPattern) {
		return fmt.Errorf("%s is a state: write --where 'AlertValue -eq %s', or --failed for all monitors in trouble",
			pattern, pattern)
	}
	var known []string
	for _, m := range all {
		known = append(known, m.HealthSetName, m.Name)
	}
	slices.Sort(known)
	return admin.NoSuch("health set or monitor", pattern, slices.Compact(known))
}

func monitorTable(monitors []admin.MonitorRow) *table.Table {
	rows := table.New("Name", "TargetResource", "AlertValue", "HealthSetName").
		Wide("Server", "State", "ServerComponent", "LastTransitionTime", "FirstAlertObservedTime",
			"LastExecutionTime", "LastExecutionResult",
			"Dependency", "_Mbx", "MailboxServer", "Error", "Description", "FlapsSince", "FlapsUntil").
		Keep("TargetResource", "AlertValue")
	for _, m := range monitors {
		rows.AddNamed(monitorID(m), m.Name, m.TargetResource, m.AlertValue, m.HealthSetName,
			m.Server, m.State, m.ServerComponent, table.Time(m.LastTransition), shownTime(m.FirstAlert),
			shownTime(m.LastExecution), m.LastResult,
			m.Dependency, m.Mailbox, m.MailboxServer, m.Error, m.Description, shownTime(m.FlapsSince),
			shownTime(m.FlapsUntil))
	}
	return rows
}

// explainFlapping lists below a table the monitors that flap, because their state does not show it.
func (a *apiCommand) explainFlapping(cmd *cobra.Command, monitors []admin.MonitorRow) {
	if !a.forPeople() {
		return
	}
	lead := "\n"
	for _, m := range monitors {
		if m.FlapsSince != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "%sFlapping: %s\n  since %s; Healthy at %s at the earliest\n", lead,
				monitorID(m), shownTime(m.FlapsSince), shownTime(m.FlapsUntil))
			lead = ""
		}
	}
}

// monitorID returns a monitor's identity.
func monitorID(m admin.MonitorRow) string {
	return strings.TrimSuffix(m.HealthSetName+"/"+m.Name+"/"+m.TargetResource, "/")
}

func newHealthAlerts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "List the open alerts, one for each cause",
		Long: `Exit status: 0 there is no open alert, 1 there are some, 2 Portico does not
answer.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all := []health.Alert{}
		if err := api.get(cmd.Context(), admin.PathAlerts, &all); err != nil {
			return err
		}
		rows := table.New("Cause", "Since", "Error").Wide("Monitors")
		for _, a := range all {
			rows.Add(a.Title(), table.Time(a.Since), a.Error, strings.Join(a.Monitors, ", "))
		}
		if err := api.print(cmd, all, rows); err != nil {
			return err
		}
		if len(all) > 0 {
			return errBadNews
		}
		return nil
	}
	return cmd
}
