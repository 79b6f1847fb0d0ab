package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newHealthItems() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "items [HEALTHSET|ITEM|IDENTITY]",
		Short: "List the probes, monitors and responders of a health set: Get-MonitoringItemIdentity",
		Long: `Items lists what health sets consist of: probes, the monitors that judge them,
and the responders that act, in the order of their steps. The name may have *
for any characters and ? for one.

Exit status: 0 the items are listed, 2 Portico does not answer, or there is no
such item.`,
		Example: "  portico health items IMAP.Protocol\n  portico health items --item-type Responder",
		Args:    cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	kind := cmd.Flags().String("item-type", "", "only this `type`: Probe, Monitor or Responder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		pattern := "*"
		if len(args) == 1 {
			pattern = args[0]
		}
		items, err := api.items(cmd, pattern, *kind)
		if err != nil {
			return err
		}
		rows := table.New("Identity", "ItemType").Wide("Name", "TargetResource")
		for _, item := range items {
			rows.Add(item.Identity, item.ItemType, item.Name, item.TargetResource)
		}
		return api.print(cmd, items, rows)
	}
	return cmd
}

func newHealthExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain IDENTITY",
		Short: "Explain a probe, monitor or responder and show its definition: Get-MonitoringItemHelp",
		Long: `Exit status: 0 the item is shown, 2 Portico does not answer, or there is no such
item.`,
		Example: "  portico health explain IMAP.Protocol/ImapDeepTestProbe/db1",
		Args:    cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	api.form = table.List
	cmd.Flags().Lookup("output").DefValue = string(table.List)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		items, err := api.items(cmd, args[0], "")
		if err != nil {
			return err
		}
		rows := table.New("Identity", "ItemType", "TargetResource", "HealthSetName", "Definition", "Help")
		for _, item := range items {
			rows.Add(item.Identity, item.ItemType, item.TargetResource, item.HealthSetName,
				definition(item), item.Help)
		}
		return api.print(cmd, items, rows)
	}
	return cmd
}

// items lists the items that a pattern matches, of one type; "" is all types.
func (a *apiCommand) items(cmd *cobra.Command, pattern, kind string) ([]admin.ItemRow, error) {
	var all []admin.ItemRow
	if err := a.get(cmd.Context(), admin.PathItems, &all); err != nil {
		return nil, err
	}
	wanted := []admin.ItemRow{}
	for _, item := range all {
		fits := fitsAny(pattern, item.Identity, item.HealthSetName+"/"+item.Name, item.Name, item.HealthSetName)
		if fits && (kind == "" || strings.EqualFold(kind, item.ItemType)) {
			wanted = append(wanted, item)
		}
	}
	if len(wanted) == 0 {
		return nil, noSuchItem(strings.ToLower(cmp.Or(kind, "item")), pattern, all)
	}
	return wanted, nil
}

// noSuchItem returns the error for a pattern that matches no item.
func noSuchItem(kind, pattern string, all []admin.ItemRow) error {
	var known []string
	for _, item := range all {
		known = append(known, item.Name, item.HealthSetName+"/"+item.Name, item.Identity)
	}
	return fmt.Errorf("%w; portico health items lists all", admin.NoSuch(kind, pattern, known))
}

// definition returns an item's definition in one line.
func definition(item admin.ItemRow) string {
	var parts []string
	for _, p := range item.Definition {
		parts = append(parts, p.Name+"="+p.Value)
	}
	return strings.Join(parts, ", ")
}
