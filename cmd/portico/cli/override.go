package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/catalogue"
)

func newOverride() *cobra.Command {
	return group(&cobra.Command{Use: "override",
		Short: "Change probes and monitors for a time: Add-, Get- and Remove-ServerMonitoringOverride"},
		newOverrideAdd(), newOverrideList(), newOverrideRemove())
}

// overrideFlags gives a command the flags that name an override.
func overrideFlags(cmd *cobra.Command, o *health.Override) {
	cmd.Flags().StringVar(&o.ItemType, "item-type", "", "`Probe or Monitor`; by default the name decides")
	cmd.Flags().StringVar(&o.Property, "property", "",
		"the `property`: of probes Enabled, RecurrenceIntervalSeconds, TimeoutSeconds; of monitors Enabled, "+
			"MonitoringThreshold, UnhealthySeconds")
	cmd.MarkFlagRequired("property")
	cmd.Flags().BoolVar(&o.Global, "global", false,
		"apply to all nodes: this one, and all nodes in the configuration")
}

// everywhere sends the override to this node and, if it is global, to all others. It reports the nodes that do not
// answer.
func (a *apiCommand) everywhere(cmd *cobra.Command, o health.Override, path string) error {
	if o.Global && (a.node != "" || a.server != "") {
		return errors.New("--global applies to all nodes, --node to one: give one of the two")
	}
	changes := make([]admin.Change, 1)
	if err := a.post(cmd.Context(), path, o, &changes[0]); err != nil {
		return err
	}
	if !o.Global {
		return a.printChanged(cmd, changes...)
	}
	var nodes []string
	if err := a.get(cmd.Context(), admin.PathNodes, &nodes); err != nil {
		return err
	}
	here, failed := *a, false
	for _, node := range nodes {
		here.node = node
		var change admin.Change
		if err := here.post(cmd.Context(), path, o, &change); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: failed on node %s: %s\n", node, visibleText(err.Error()))
			failed = true
			continue
		}
		change.What += " on " + node
		changes = append(changes, change)
	}
	if err := a.printChanged(cmd, changes...); err != nil {
		return err
	}
	if failed {
		return errBadNews
	}
	return nil
}

func newOverrideAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add HEALTHSET/ITEM[/TARGET]",
		Short: "Change a property of a probe or monitor, for one target or for all",
		Long: `Add changes a property at once, until the given end or until remove. The
identity is case-sensitive, as in Exchange; health get and probe list show it.
An override survives a restart.`,
		Example: "  portico override add IMAP.Protocol/ImapDeepTestProbe/db1 --property Enabled --value 0 " +
			"--duration 2h\n" +
			"  portico override add IMAP/ImapCTPMonitor --property MonitoringThreshold --value 6",
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	var o health.Override
	overrideFlags(cmd, &o)
	cmd.Flags().StringVar(&o.Value, "value", "", "the new `value`")
	cmd.MarkFlagRequired("value")
	duration := timeFlag(cmd, "duration", 0,
		"`time` after which the override ends, such as 2h or 1.00:00:00; by default it does not end")
	cmd.Flags().StringVar(&o.Version, "apply-version", "",
		"end the override when another `version` of Portico runs; not with --duration")
	cmd.MarkFlagsMutuallyExclusive("duration", "apply-version")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		o.Identity = strings.ReplaceAll(args[0], `\`, "/")
		o.ItemType = cmp.Or(o.ItemType, health.ItemTypeOf(catalogue.Canonical(o.Identity)))
		if o.Until, err = untilAfter(cmd, *duration); err != nil {
			return err
		}
		return api.everywhere(cmd, o, admin.PathOverrideAdd)
	}
	return cmd
}

func newOverrideRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove HEALTHSET/ITEM[/TARGET]",
		Short: "Remove an override",
		Args:  cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	var o health.Override
	overrideFlags(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Identity = strings.ReplaceAll(args[0], `\`, "/")
		o.ItemType = cmp.Or(o.ItemType, health.ItemTypeOf(catalogue.Canonical(o.Identity)))
		return api.everywhere(cmd, o, admin.PathOverrideRemove)
	}
	return cmd
}

func newOverrideList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the active overrides",
		Args:  cobra.NoArgs,
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []health.Override
		if err := api.get(cmd.Context(), admin.PathOverrides, &all); err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b health.Override) int { return strings.Compare(a.Key(), b.Key()) })
		rows := table.New("Identity", "ItemType", "PropertyName", "PropertyValue", "Until").Wide("Scope")
		for _, o := range all {
			until := "removed"
			switch {
			case !o.Until.IsZero():
				until = table.Time(o.Until)
			case o.Version != "":
				until = "version " + o.Version + " ends"
			}
			scope := "local"
			if o.Global {
				scope = "global"
			}
			rows.Add(o.Identity, o.ItemType, o.Property, o.Value, until, scope)
		}
		return api.print(cmd, all, rows)
	}
	return cmd
}

func newHealthRepairing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repairing HEALTHSET/MONITOR[/TARGET]",
		Short: "Mark a monitor as being repaired: Set-ServerMonitor -Repairing",
		Long: `The monitor is Repairing until --off, whatever its probe finds. It raises no
alert and starts no recovery, not even a failover. It stays Repairing after a
restart.`,
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	off := cmd.Flags().Bool("off", false, "end the repair")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := admin.RepairingRequest{Monitor: strings.ReplaceAll(args[0], `\`, "/"), On: !*off}
		return api.change(cmd, admin.PathRepairing, body)
	}
	return cmd
}
