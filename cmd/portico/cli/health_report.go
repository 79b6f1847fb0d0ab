package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newHealthReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "List the health sets, each as unhealthy as its worst monitor: Get-HealthReport",
		Long: `Report lists the health sets of this node; -o wide, -o list and -o json show the
monitors of each. --rollup-group asks all nodes in the configuration and merges
them in groups: a health set of a group is Degraded while enough of its nodes
are online and healthy, and Unhealthy below that. A node that does not answer
counts as unhealthy.

Exit status: 0 all health sets are Healthy, 1 one is not, 2 Portico does not
answer.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	merged := cmd.Flags().Bool("rollup-group", false, "merge this node and all nodes in the configuration")
	var rollup admin.Rollup
	cmd.Flags().IntVar(&rollup.GroupSize, "group-size", 12, "with --rollup-group: `number` of nodes in a group")
	cmd.Flags().IntVar(&rollup.MinimumOnline, "minimum-online-percent", 70,
		"with --rollup-group: `percentage` of online nodes from which a group is at worst Degraded")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if rollup.GroupSize < 1 || rollup.MinimumOnline < 0 || rollup.MinimumOnline > 100 {
			return fmt.Errorf("--group-size must be at least 1, and --minimum-online-percent from 0 to 100")
		}
		if *merged {
			return api.printRollup(cmd, rollup)
		}
		var all []admin.SetRow
		if err := api.get(cmd.Context(), admin.PathReport, &all); err != nil {
			return err
		}
		return api.printHealthSets(cmd, all)
	}
	return cmd
}

// printHealthSets prints the health sets of a node.
func (a *apiCommand) printHealthSets(cmd *cobra.Command, sets []admin.SetRow) error {
	rows, fine := table.New("HealthSet", "AlertValue", "LastTransitionTime", "MonitorCount", "State").
		Wide("Server", "HealthGroup", "Monitors"), true
	var monitors []admin.MonitorRow
	for _, s := range sets {
		fine = fine && isWell(s.AlertValue)
		rows.Add(s.HealthSet, s.AlertValue, table.Time(s.LastTransition), fmt.Sprint(s.MonitorCount), s.State,
			s.Server, s.HealthGroup, monitorsOf(s))
		monitors = append(monitors, s.Monitors...)
	}
	if err := a.print(cmd, sets, rows); err != nil {
		return err
	}
	a.explainFlapping(cmd, monitors)
	if !fine {
		return errBadNews
	}
	return nil
}

// isWell reports whether an AlertValue is no reason to act.
func isWell(value string) bool {
	return value == health.Healthy.String() || value == health.UnInitialized.String() ||
		value == health.Disabled.String()
}

// monitorsOf lists a health set's monitors with their states in one line.
func monitorsOf(s admin.SetRow) string {
	var all []string
	for _, m := range s.Monitors {
		text := strings.TrimSuffix(m.Name+"/"+m.TargetResource, "/") + "=" + m.AlertValue
		if m.FlapsSince != nil {
			text += " (flaps)"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// printRollup prints the health sets of all nodes, merged in groups.
func (a *apiCommand) printRollup(cmd *cobra.Command, r admin.Rollup) error {
	reports, err := a.reports(cmd)
	if err != nil {
		return err
	}
	for _, of := range reports {
		if of.Failed != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: node %s: %s\n", of.Node, visibleText(of.Failed))
		}
	}
	merged := r.Merge(reports)
	rows, fine := table.New("HealthSet", "AlertValue", "State", "OnlinePercent", "Servers", "Failing").
		Keep("AlertValue", "Failing"), true
	for _, row := range merged {
		fine = fine && isWell(row.AlertValue)
		rows.Add(row.HealthSet, row.AlertValue, row.State, fmt.Sprint(row.OnlinePercent),
			strings.Join(row.Servers, ","), strings.Join(row.Failing, ","))
	}
	if err := a.print(cmd, merged, rows); err != nil || fine {
		return err
	}
	return errBadNews
}

// reports asks this node and all others for their health sets.
func (a *apiCommand) reports(cmd *cobra.Command) ([]admin.NodeReport, error) {
	var names []string
	if err := a.get(cmd.Context(), admin.PathNodes, &names); err != nil {
		return nil, err
	}
	var here admin.NodeReport
	if err := a.get(cmd.Context(), admin.PathReport, &here.Sets); err != nil {
		return nil, err
	}
	if len(here.Sets) == 0 {
		return nil, errors.New("this node has no health sets")
	}
	here.Node = here.Sets[0].Server
	reports := []admin.NodeReport{here}
	other := *a
	for _, name := range names {
		of := admin.NodeReport{Node: name}
		other.node = name
		if err := other.get(cmd.Context(), admin.PathReport, &of.Sets); err != nil {
			of.Failed = err.Error()
		}
		reports = append(reports, of)
	}
	admin.SortReports(reports)
	return reports, nil
}
