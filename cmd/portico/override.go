package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/configs/store"
	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

// storedOverrides is where the store keeps overrides, each in an entry of its own.
const storedOverrides = "health/overrides/"

// overrides reads those that are in force, and deletes those that have ended by themselves.
func (s *service) overrides(ctx context.Context) ([]health.Override, error) {
	entries, err := s.store.List(ctx, storedOverrides)
	if err != nil {
		return nil, fmt.Errorf("overrides: %w", err)
	}
	all := []health.Override{}
	for _, e := range entries {
		var o health.Override
		if err := json.Unmarshal(e.Value, &o); err != nil {
			s.reported("a stored override cannot be used", fmt.Errorf("%s: %w", e.Key, err))
			continue
		}
		if o.Over(time.Now(), version()) {
			if s.store.Delete(ctx, e.Key, e.Revision) == nil {
				s.log.Info().Str("identity", o.Identity).Str("property", o.Property).
					Msg("an override has come to its end")
			}
			continue
		}
		all = append(all, o)
	}
	return all, nil
}

// useHealthPlan puts what is looked after in force, with the overrides there are. The caller holds changing, or nobody
// else knows the service yet.
func (s *service) useHealthPlan() {
	all, err := s.overrides(context.Background())
	if err != nil {
		s.reported("overrides are passed over", err)
	}
	s.health.Use(s.withoutMaintained(s.healthPlan(s.config).With(all, time.Now(), version())))
	s.overridden = len(all)
}

// overridesEach is how often it is looked for overrides that have ended by themselves.
const overridesEach = 10 * time.Second

// keepOverrides ends overrides and requests of component states whose time has come.
func (s *service) keepOverrides(ctx context.Context) {
	ticker := time.NewTicker(overridesEach)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.changing.Lock()
		if all, err := s.overrides(ctx); err == nil && len(all) != s.overridden {
			s.useHealthPlan()
		}
		if err := s.endRequests(ctx, time.Now()); err != nil {
			s.reported("a request of a component's state cannot be deleted", err)
		}
		s.changing.Unlock()
	}
}

// Overrides implements admin.Health.
func (c healthControl) Overrides(ctx context.Context) ([]health.Override, error) {
	return c.s.overrides(ctx)
}

// AddOverride implements admin.Health.
func (c healthControl) AddOverride(ctx context.Context, o health.Override) (change admin.Change, err error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	if err := c.s.healthPlan(c.s.config).Check(o); err != nil {
		return change, unknownHere(err)
	}
	o.Created = time.Now().UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(o)
	if err != nil {
		return change, err
	}
	key, revision := storedOverrides+o.Key(), uint64(0)
	change = admin.Change{What: o.Identity + " " + o.Property, Was: noOverride, Now: overrideText(o)}
	if entry, err := c.s.store.Get(ctx, key); err == nil { // there is one for each property
		revision, change.Was = entry.Revision, storedOverride(entry.Value)
	}
	if _, err := c.s.store.CompareAndSet(ctx, key, revision, text); err != nil {
		return change, err
	}
	c.s.log.Warn().Interface("override", o).Msg("override added by an operator")
	c.s.useHealthPlan()
	return change, nil
}

// noOverride stands for an override that is not there.
const noOverride = "(no override)"

// overrideText is an override's value, and its end.
func overrideText(o health.Override) string {
	switch {
	case !o.Until.IsZero():
		return o.Value + " until " + table.Time(o.Until)
	case o.Version != "":
		return o.Value + " while version " + o.Version + " runs"
	}
	return o.Value
}

func storedOverride(text []byte) string {
	var o health.Override
	if err := json.Unmarshal(text, &o); err != nil {
		return "(unreadable)"
	}
	return overrideText(o)
}

// RemoveOverride implements admin.Health.
func (c healthControl) RemoveOverride(ctx context.Context, o health.Override) (change admin.Change, err error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	entry, err := c.s.store.Get(ctx, storedOverrides+o.Key())
	if errors.Is(err, store.ErrNotFound) {
		return change, admin.Unknown(fmt.Errorf("there is no override of %s's %s", o.Identity, o.Property))
	}
	if err != nil {
		return change, err
	}
	if err := c.s.store.Delete(ctx, entry.Key, entry.Revision); err != nil {
		return change, err
	}
	c.s.log.Warn().Str("identity", o.Identity).Str("property", o.Property).Msg("override removed by an operator")
	c.s.useHealthPlan()
	return admin.Change{What: o.Identity + " " + o.Property, Was: storedOverride(entry.Value), Now: noOverride}, nil
}

// storedRepairing is where the store keeps which monitors an operator has set to Repairing.
const storedRepairing = "health/repairing/"

// loadRepairing sets monitors to Repairing that were before a restart. Those that are not watched now may be again.
func (s *service) loadRepairing() error {
	entries, err := s.store.List(context.Background(), storedRepairing)
	if err != nil {
		return fmt.Errorf("repairing: %w", err)
	}
	for _, e := range entries {
		if err := s.health.SetRepairing(strings.TrimPrefix(e.Key, storedRepairing), true); err != nil &&
			!errors.Is(err, health.ErrUnknown) {
			return err
		}
	}
	return nil
}

// SetRepairing implements admin.Health.
func (c healthControl) SetRepairing(ctx context.Context, id string, on bool) (change admin.Change, err error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	value, ok := c.s.alertValue(id)
	if !ok {
		return change, c.s.noMonitor(id)
	}
	change = admin.Change{What: "monitor " + id}
	entry, err := c.s.store.Get(ctx, storedRepairing+id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return change, err
	}
	stored := err == nil
	change.Was = withRepairing(value, stored)
	switch {
	case on && !stored:
		_, err = c.s.store.CompareAndSet(ctx, storedRepairing+id, 0, []byte("true"))
	case !on && stored:
		err = c.s.store.Delete(ctx, entry.Key, entry.Revision)
	default:
		err = nil
	}
	if err != nil {
		return change, err
	}
	c.s.log.Warn().Str("monitor", id).Bool("repairing", on).Msg("repairing set by an operator")
	err = unknownHere(c.s.health.SetRepairing(id, on))
	value, _ = c.s.alertValue(id)
	change.Now = withRepairing(value, on)
	return change, err
}

// withRepairing is a monitor's state with the operator's flag, which a Disabled monitor has without being Repairing.
func withRepairing(value string, repairing bool) string {
	if repairing == (value == health.Repairing.String()) {
		return value
	}
	if repairing {
		return value + ", repairing on"
	}
	return value + ", repairing off"
}

// noMonitor says that there is no monitor of an identity. If only its target is missing, it lists the targets.
func (s *service) noMonitor(id string) error {
	all := s.monitorIDs()
	var targets []string
	for _, known := range all {
		if target, ok := strings.CutPrefix(known, id+"/"); ok {
			targets = append(targets, target)
		}
	}
	if len(targets) == 0 {
		return admin.NoSuch("monitor", id, all)
	}
	return admin.Unknown(fmt.Errorf("there is a monitor %s for each target: add the target, as in %s/%s; the targets "+
		"are %s", id, id, targets[0], strings.Join(targets, ", ")))
}

// monitorIDs lists the identities of all monitors.
func (s *service) monitorIDs() (all []string) {
	for _, m := range s.health.Monitors() {
		all = append(all, m.ID())
	}
	return all
}

// alertValue is that of a monitor.
func (s *service) alertValue(id string) (value string, ok bool) {
	for _, m := range s.health.Monitors() {
		if m.ID() == id {
			return m.Value.String(), true
		}
	}
	return "", false
}

// unknownHere makes health's unknown names the admin's.
func unknownHere(err error) error {
	if errors.Is(err, health.ErrUnknown) {
		return admin.Unknown(err)
	}
	return err
}

func newOverride() *cobra.Command {
	return group(&cobra.Command{Use: "override",
		Short: "Change probes and monitors for a time: Add-, Get- and Remove-ServerMonitoringOverride"},
		newOverrideAdd(), newOverrideList(), newOverrideRemove())
}

// overrideFlags gives a command the flags that name an override.
func overrideFlags(cmd *cobra.Command, o *health.Override) {
	cmd.Flags().StringVar(&o.ItemType, "item-type", "", "`Probe or Monitor`; by default what the name says")
	cmd.Flags().StringVar(&o.Property, "property", "",
		"the `property`: of probes Enabled, RecurrenceIntervalSeconds, TimeoutSeconds; of monitors Enabled, "+
			"MonitoringThreshold, UnhealthySeconds")
	cmd.MarkFlagRequired("property")
	cmd.Flags().BoolVar(&o.Global, "global", false,
		"on all nodes: this one, and those under nodes in the configuration")
}

// everywhere asks this node, and if the override is global each of the others, and says which could not be asked.
func (a *asking) everywhere(cmd *cobra.Command, o health.Override, path string) error {
	if o.Global && (a.node != "" || a.server != "") {
		return errors.New("--global is for all nodes, --node for one")
	}
	changes := make([]admin.Change, 1)
	if err := a.post(cmd.Context(), path, o, &changes[0]); err != nil {
		return err
	}
	if !o.Global {
		return a.changed(cmd, changes...)
	}
	var nodes []string
	if err := a.get(cmd.Context(), "/api/v1/nodes", &nodes); err != nil {
		return err
	}
	here, failed := *a, false
	for _, node := range nodes {
		here.node = node
		var change admin.Change
		if err := here.post(cmd.Context(), path, o, &change); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: not on node %s: %s\n", node, visibleText(err.Error()))
			failed = true
			continue
		}
		change.What += " on " + node
		changes = append(changes, change)
	}
	if err := a.changed(cmd, changes...); err != nil {
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
		Short: "Change a property of a probe or monitor, of one target or of all",
		Long: "Add changes a property at once, and until the end that is given, or until remove. The identity is " +
			"case-sensitive, as in Exchange;\n" +
			"health get and probe list have it. A stored override survives a restart.",
		Example: "  portico override add IMAP.Protocol/ImapDeepTestProbe/db1 --property Enabled --value 0 " +
			"--duration 2h\n" +
			"  portico override add IMAP/ImapCTPMonitor --property MonitoringThreshold --value 6",
		Args: cobra.ExactArgs(1),
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	var o health.Override
	overrideFlags(cmd, &o)
	cmd.Flags().StringVar(&o.Value, "value", "", "its `value`")
	cmd.MarkFlagRequired("value")
	duration := timeFlag(cmd, "duration", 0,
		"`time` after which it ends, such as 2h or 1.00:00:00; without it, the override lasts")
	cmd.Flags().StringVar(&o.Version, "apply-version", "",
		"it ends when another `version` of the program runs; not with --duration")
	cmd.MarkFlagsMutuallyExclusive("duration", "apply-version")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		o.Identity = strings.ReplaceAll(args[0], `\`, "/")
		o.ItemType = cmp.Or(o.ItemType, health.ItemTypeOf(health.Canonical(o.Identity)))
		if o.Until, err = untilAfter(cmd, *duration); err != nil {
			return err
		}
		return ask.everywhere(cmd, o, "/api/v1/overrides/add")
	}
	return cmd
}

func newOverrideRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove HEALTHSET/ITEM[/TARGET]",
		Short: "Take an override back",
		Args:  cobra.ExactArgs(1),
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	var o health.Override
	overrideFlags(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Identity = strings.ReplaceAll(args[0], `\`, "/")
		o.ItemType = cmp.Or(o.ItemType, health.ItemTypeOf(health.Canonical(o.Identity)))
		return ask.everywhere(cmd, o, "/api/v1/overrides/remove")
	}
	return cmd
}

func newOverrideList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the overrides in force",
		Args:  cobra.NoArgs,
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []health.Override
		if err := ask.get(cmd.Context(), "/api/v1/overrides", &all); err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b health.Override) int { return strings.Compare(a.Key(), b.Key()) })
		rows := table.New("Identity", "ItemType", "PropertyName", "PropertyValue", "Until").Wide("Scope")
		for _, o := range all {
			until := "it is removed"
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
		return ask.print(cmd, all, rows)
	}
	return cmd
}

func newHealthRepairing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repairing HEALTHSET/MONITOR[/TARGET]",
		Short: "Say that somebody works on what a monitor watches: Set-ServerMonitor -Repairing",
		Long: "The monitor is Repairing until --off, whatever its probe finds, and opens no alert. A restart " +
			"keeps that.",
		Args: cobra.ExactArgs(1),
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	off := cmd.Flags().Bool("off", false, "nobody works on it any more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]any{"monitor": strings.ReplaceAll(args[0], `\`, "/"), "on": !*off}
		return ask.change(cmd, "/api/v1/health/repairing", body)
	}
	return cmd
}
