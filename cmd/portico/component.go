package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
			s.reported("a stored state of a component makes no sense", fmt.Errorf("%s: %w", e.Key, err))
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
	r.Source = health.SourceOperator
	change := admin.Change{What: "component " + r.Component, Was: c.s.components.State(r.Component)}
	err = c.s.setComponent(ctx, r)
	change.Now, _ = c.reached(r.Component, r.State)
	return change, err
}

// reached says in words which state a component has after somebody has asked for one, and whether it is that.
func (c healthControl) reached(component, wanted string) (words string, ok bool) {
	state := c.s.components.State(component)
	if state == wanted {
		return state, true
	}
	return state + ": somebody else wants that, see portico component get", false
}

// change waits for the turn of whoever wants to change something, and returns what ends it. It is an error if the context ends first:
// nothing is changed for somebody who has given up.
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
	key := storedComponents + r.Component + "/" + r.Requester
	entry, err := s.store.Get(ctx, key) // none is revision 0
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, err := s.store.CompareAndSet(ctx, key, entry.Revision, text); err != nil {
		return err
	}
	s.components.Set(r)
	s.log.Warn().Str("component", r.Component).Str("requester", r.Requester).Str("state", r.State).Str("who", r.Who).Msg("state of a component set")
	s.obeyComponents()
	return nil
}

func newComponent() *cobra.Command {
	return group(&cobra.Command{
		Use:   "component",
		Short: "Take this node out of service and back: Get- and Set-ServerComponentState",
		Long: "ImapProxy Inactive refuses new clients; sessions go on. ServerWideOffline Inactive does that and has nobody told of alerts, as Monitoring\n" +
			"Inactive does, and nothing recovered of itself, as RecoveryActionsEnabled Inactive does. Each requester has an entry of its own: any Inactive wins, and only the same requester lifts it.",
	}, newComponentGet(), newComponentSet())
}

func newComponentGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [COMPONENT]",
		Short: "List the components, and who wants what of them",
		Long:  "Exit status: 0 all that are listed are Active, 1 one is not, 2 the answer is not to be had.",
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
			rows.Add(c.Component, c.State, strings.Join(who, "; "))
		}
		if len(wanted) == 0 {
			return fmt.Errorf("there is no component %s", args[0])
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

// requestOf says what a requester wants, since when, and where the entry comes from: of which component it is, and who made it.
func requestOf(component string, r health.Request) string {
	text := fmt.Sprintf("%s by %s since %s", r.State, r.Requester, table.Time(r.At))
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
		Use:     "set COMPONENT",
		Short:   "Say what a requester wants of a component",
		Example: "  portico component set ImapProxy --state Inactive --requester Maintenance",
		Args:    cobra.ExactArgs(1),
	}
	ask := askFlags(cmd).aliasFlag(cmd)
	var r health.Request
	cmd.Flags().StringVar(&r.State, "state", "", "`Active or Inactive`")
	cmd.Flags().StringVar(&r.Requester, "requester", "", "`HealthAPI, Maintenance, Sidelined, Functional or Deployment`")
	cmd.MarkFlagRequired("state")
	cmd.MarkFlagRequired("requester")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Component = args[0]
		return ask.change(cmd, "/api/v1/components", r)
	}
	return cmd
}
