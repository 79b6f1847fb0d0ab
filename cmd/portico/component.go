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

// storedComponents is where the store keeps what requesters want of components, each in an entry of its own.
const storedComponents = "health/components/"

// loadComponents reads what requesters want.
func (s *service) loadComponents() error {
	entries, err := s.store.List(context.Background(), storedComponents)
	if err != nil {
		return fmt.Errorf("components: %w", err)
	}
	for _, e := range entries {
		var r health.Request
		if err := json.Unmarshal(e.Value, &r); err != nil {
			s.reported("a stored state of a component cannot be used", fmt.Errorf("%s: %w", e.Key, err))
			continue
		}
		s.components.Set(r)
	}
	s.obeyComponents()
	return nil
}

// obeyComponents does what the components' states say.
func (s *service) obeyComponents() {
	in := s.components.State(health.ComponentImapProxy) == health.Active
	s.server.SetService(in)
	if !in {
		s.log.Warn().Msg("component ImapProxy is Inactive: new clients are refused, sessions go on")
	}
}

// inService is a check of /readyz.
func (s *service) inService() error {
	if s.components.State(health.ComponentImapProxy) != health.Active {
		return errors.New("component ImapProxy is Inactive")
	}
	return nil
}

// alerting returns the monitors of whose state somebody is to be told; nil while Monitoring is Inactive.
func (s *service) alerting() []health.MonitorState {
	if s.components.State(health.ComponentMonitoring) != health.Active {
		return nil
	}
	return s.health.Monitors()
}

// Components implements admin.Health.
func (c healthControl) Components() []health.ComponentState { return c.s.components.States() }

// SetComponent implements admin.Health.
func (c healthControl) SetComponent(ctx context.Context, r health.Request) (admin.Change, error) {
	r, err := r.Known()
	if err != nil {
		return admin.Change{}, unknownHere(err)
	}
	if r.Server != "" {
		if err := (control(c)).known(r.Server); err != nil {
			return admin.Change{}, err
		}
	}
	r.Source = health.SourceOperator
	change := admin.Change{What: "component " + componentName(r.Component, r.Server),
		Was: c.s.components.StateOf(r.Component, r.Server)}
	err = c.s.setComponent(ctx, r)
	change.Now, _ = c.reached(r.Component, r.Server, r.State)
	if !r.Until.IsZero() && change.Now == r.State {
		change.Now += " until " + table.Time(r.Until)
	}
	return change, err
}

// componentName names a component, and the mailbox server that it is of.
func componentName(component, server string) string {
	if server == "" {
		return component
	}
	return component + " of " + server
}

// reached says in words which state a component has after somebody has asked for one, and whether it is that.
func (c healthControl) reached(component, server, wanted string) (words string, ok bool) {
	state := c.s.components.StateOf(component, server)
	if state == wanted {
		return state, true
	}
	var who []string
	for _, of := range c.s.components.States() {
		if of.Component != component || of.Server != server {
			continue
		}
		for _, r := range of.Requests {
			if r.State != wanted {
				who = append(who, requestOf(component, r))
			}
		}
	}
	return state + ": " + cmp.Or(strings.Join(who, "; "), "see portico component get"), false
}

// change waits for the turn of whoever wants to change something, and returns what ends it. It is an error if the
// context ends first: nothing is changed for somebody who has given up.
func (s *service) change(ctx context.Context) (done func(), err error) {
	s.changing.Lock()
	if ctx.Err() != nil {
		s.changing.Unlock()
		return nil, fmt.Errorf("nothing was changed, since another change was under way: %w", context.Cause(ctx))
	}
	return s.changing.Unlock, nil
}

// setComponent keeps what a requester wants, and does it.
func (s *service) setComponent(ctx context.Context, r health.Request) error {
	done, err := s.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	r.At, r.Who = time.Now().UTC().Truncate(time.Millisecond), admin.Who(ctx)
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	key := storedComponents + r.Key()
	entry, err := s.store.Get(ctx, key) // none is revision 0
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, err := s.store.CompareAndSet(ctx, key, entry.Revision, text); err != nil {
		return err
	}
	s.components.Set(r)
	s.log.Warn().Str("component", componentName(r.Component, r.Server)).Str("requester", r.Requester).
		Str("state", r.State).Str("who", r.Who).Msg("state of a component set")
	s.obeyComponents()
	return nil
}

// endRequests deletes requests whose time is over. The caller holds changing.
func (s *service) endRequests(ctx context.Context, now time.Time) error {
	for _, r := range s.components.Requests() {
		if r.Until.IsZero() || now.Before(r.Until) {
			continue
		}
		entry, err := s.store.Get(ctx, storedComponents+r.Key())
		if err == nil {
			err = s.store.Delete(ctx, entry.Key, entry.Revision)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s.components.Drop(r)
		s.log.Warn().Str("component", componentName(r.Component, r.Server)).Str("requester", r.Requester).
			Msg("the request of a component's state has ended")
		s.obeyComponents()
	}
	return nil
}

func newComponent() *cobra.Command {
	return group(&cobra.Command{
		Use:   "component",
		Short: "Take this node out of service and back: Get- and Set-ServerComponentState",
		Long: "ImapProxy Inactive refuses new clients; sessions go on. ServerWideOffline Inactive does that and has " +
			"nobody gets alerts, as with Monitoring\n" +
			"Inactive, and nothing is recovered automatically, as with RecoveryActionsEnabled Inactive. " +
			"RecoveryActionsEnabled with --server is of one mailbox\n" +
			"server. Each requester has an entry of its own: any Inactive wins, and only the same requester lifts it.",
	}, newComponentGet(), newComponentSet())
}

func newComponentGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [COMPONENT]",
		Short: "List the components, and who wants what of them",
		Long:  "Exit status: 0 all that are listed are Active, 1 one is not, 2 portico can not be asked.",
		Args:  cobra.MaximumNArgs(1),
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var all []health.ComponentState
		if err := ask.get(cmd.Context(), "/api/v1/components", &all); err != nil {
			return err
		}
		wanted, rows, fine := []health.ComponentState{}, table.New("Component", "State", "Requests"), true
		for _, c := range all {
			if len(args) == 1 && !fitsAny(args[0], c.Component) {
				continue
			}
			wanted = append(wanted, c)
			fine = fine && c.State == health.Active
			var who []string
			for _, r := range c.Requests {
				who = append(who, requestOf(c.Component, r))
			}
			rows.Add(componentName(c.Component, c.Server), c.State, strings.Join(who, "; "))
		}
		if len(wanted) == 0 {
			return admin.NoSuch("component", args[0], componentNames(all))
		}
		if err := ask.print(cmd, wanted, rows); err != nil {
			return err
		}
		if !fine {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// componentNames lists components once each.
func componentNames(all []health.ComponentState) (names []string) {
	for _, c := range all {
		names = append(names, c.Component)
	}
	return slices.Compact(names)
}

// requestOf says what a requester wants, since when, and where the entry comes from: of which component it is, and who
// made it.
func requestOf(component string, r health.Request) string {
	text := fmt.Sprintf("%s by %s since %s", r.State, r.Requester, table.Time(r.At))
	if !r.Until.IsZero() {
		text += " until " + table.Time(r.Until)
	}
	var from []string
	if r.Component != component {
		from = append(from, r.Component)
	}
	if r.Source != "" {
		from = append(from, "set by "+asker(r.Source, r.Who))
	}
	if len(from) > 0 {
		text += " (" + strings.Join(from, ", ") + ")"
	}
	return text
}

// asker names a kind of requester, and the user or token behind it where one is known.
func asker(kind, who string) string {
	if who == "" {
		return kind
	}
	return kind + " " + who
}

func newComponentSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set COMPONENT",
		Short: "Say what a requester wants of a component",
		Long: "Set changes the entry of a requester at once, and until --duration is over, if that is given. A " +
			"restart keeps it. With --server,\n" +
			"RecoveryActionsEnabled Inactive has nothing done about one mailbox server, and people told at once; " +
			"others are recovered as before.\n\n" +
			"Exit status: 0 the component has that state, 1 another requester keeps it Inactive, 2 it could " +
			"not be done.",
		Example: "  portico component set ImapProxy --state Inactive --requester Maintenance\n" +
			"  portico component set RecoveryActionsEnabled --server mbx1 --state Inactive --requester Maintenance " +
			"--duration 2h",
		Args: cobra.ExactArgs(1),
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	var r health.Request
	cmd.Flags().StringVar(&r.State, "state", "", "`Active or Inactive`")
	cmd.Flags().StringVar(&r.Requester, "requester", "",
		"`HealthAPI, Maintenance, Sidelined, Functional or Deployment`")
	cmd.MarkFlagRequired("state")
	cmd.MarkFlagRequired("requester")
	cmd.Flags().Lookup("server").
		Usage = "the mailbox `server`, for RecoveryActionsEnabled; or another Portico, as --node"
	duration := timeFlag(cmd, "duration", 0,
		"`time` after which the entry ends, such as 2h or 1.00:00:00; it lasts by default")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if r.Until, err = untilAfter(cmd, *duration); err != nil {
			return err
		}
		if !r.Until.IsZero() && strings.EqualFold(r.State, health.Active) {
			return errors.New("--duration is for Inactive: an Active entry keeps nothing away, so nothing " +
				"changes when " +
				"it ends")
		}
		named := ask.server
		if r.Server, err = ask.serverOrNode(cmd.Context()); err != nil {
			return err
		}
		r.Component = args[0]
		if named != "" && r.Server == "" && strings.EqualFold(r.Component, health.ComponentRecoveryActions) {
			return fmt.Errorf("%s is another Portico, and this would be about all mailbox servers there: "+
				"write --node "+
				"%s if you want that", named, named)
		}
		var change admin.Change
		if err := ask.post(cmd.Context(), "/api/v1/components", r, &change); err != nil {
			return err
		}
		if err := ask.changed(cmd, change); err != nil {
			return err
		}
		if !strings.HasPrefix(strings.ToLower(change.Now), strings.ToLower(r.State)) { // "Active" is no "Inactive"
			return errBadNews
		}
		return nil
	}
	return cmd
}
