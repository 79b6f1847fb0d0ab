package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
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
		Long: `Report lists the health sets; -o wide, -o list and -o json show the monitors of
each. If there are other nodes, each row is the worst of the nodes, and says of
which; -o json has the rows of all nodes. --rollup-group merges the
nodes in groups: a health set of a group is Degraded while enough of its nodes
are online and healthy, and Unhealthy below that. A node that does not answer
counts as unhealthy.

Exit status: 0 all health sets are Healthy, 1 one is not, 2 Portico does not
answer.` + aboutSite,
		Args: cobra.NoArgs,
	}
	api := siteFlags(cmd).aliasFlag(cmd)
	merged := cmd.Flags().Bool("rollup-group", false, "merge the nodes in groups")
	var rollup admin.Rollup
	cmd.Flags().IntVar(&rollup.GroupSize, "group-size", 12, "with --rollup-group: `number` of nodes in a group")
	cmd.Flags().IntVar(&rollup.MinimumOnline, "minimum-online-percent", 70,
		"with --rollup-group: `percentage` of online nodes from which a group is at worst Degraded")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if rollup.GroupSize < 1 || rollup.MinimumOnline < 0 || rollup.MinimumOnline > 100 {
			return fmt.Errorf("--group-size must be at least 1, and --minimum-online-percent from 0 to 100")
		}
		answers, err := getAll[[]admin.SetRow](cmd.Context(), api, admin.PathReport)
		if err != nil {
			return err
		}
		if *merged {
			return api.printRollup(cmd, rollup, answers)
		}
		return cmp.Or(api.printHealthSets(cmd, answers), answers.incomplete())
	}
	return cmd
}

// printHealthSets prints the health sets; as JSON those of all nodes, else the worst of each.
func (a *apiCommand) printHealthSets(cmd *cobra.Command, answers *fromNodes[[]admin.SetRow]) error {
	rows, fine := table.New("HealthSet", "AlertValue", "LastTransitionTime", "MonitorCount", "State").
		Wide("Server", "HealthGroup", "Monitors"), true
	all := rowsOf(answers, func(s *admin.SetRow) *string { return &s.Node })
	var monitors []admin.MonitorRow
	var nodes []string
	for _, s := range worst(all) {
		fine = fine && isWell(s.AlertValue)
		rows.Add(s.HealthSet, s.AlertValue, table.Time(s.LastTransition), fmt.Sprint(s.MonitorCount), s.State,
			s.Server, s.HealthGroup, monitorsOf(s))
		monitors, nodes = append(monitors, s.Monitors...), append(nodes, s.Node)
	}
	if err := a.print(cmd, all, rows.Second("Node", nodes)); err != nil {
		return err
	}
	a.explainFlapping(cmd, monitors)
	if !fine {
		return errBadNews
	}
	return nil
}

// worst returns the worst row of each health set. Its node is every node on which the health set is as bad.
func worst(all []admin.SetRow) []admin.SetRow {
	byName := make(map[string]admin.SetRow)
	badness := func(s admin.SetRow) int { return slices.Index(health.AlertValues(), s.AlertValue) }
	for _, s := range all {
		was, found := byName[s.HealthSet]
		switch {
		case !found || badness(s) > badness(was):
			byName[s.HealthSet] = s
		case badness(s) == badness(was):
			was.Node += "," + s.Node
			byName[s.HealthSet] = was
		}
	}
	rows := slices.Collect(maps.Values(byName))
	slices.SortFunc(rows, func(a, b admin.SetRow) int { return cmp.Compare(a.HealthSet, b.HealthSet) })
	return rows
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

// printRollup prints the health sets of all nodes, merged in groups. A node that does not answer has none that is well.
func (a *apiCommand) printRollup(cmd *cobra.Command, r admin.Rollup, answers *fromNodes[[]admin.SetRow]) error {
	var reports []admin.NodeReport
	for _, from := range answers.answers {
		if len(from.answer) > 0 {
			reports = append(reports, admin.NodeReport{Node: cmp.Or(from.node, from.answer[0].Server),
				Sets: from.answer})
		}
	}
	for _, m := range answers.missing {
		reports = append(reports, admin.NodeReport{Node: m.node})
	}
	if len(reports) == 0 {
		return errors.New("no node has health sets")
	}
	admin.SortReports(reports)
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
