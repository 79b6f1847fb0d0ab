package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"portico/configs/store"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/components"
)

// componentStates are the states that operators, maintenance and recovery have asked for, and what obeys them. set
// guards itself.
type componentStates struct {
	set     *components.Set
	config  *configuration
	log     *nodeLog
	clients *clientSide
}

// start reads what requesters want.
func (c *componentStates) start(stored store.Set[components.Request], metrics prometheus.Registerer) (err error) {
	c.set, err = components.Open(context.Background(), components.Options{
		Stored: stored, Changed: c.obey, Ended: c.requestEnded,
		Failed: c.log.reporter("stored state of a component not usable"),
	})
	if err != nil {
		return fmt.Errorf("components: %w", err)
	}
	c.obey()
	return metrics.Register(c.set)
}

// requestEnded logs that the time of a request is over.
func (c *componentStates) requestEnded(r components.Request) {
	c.log.Warn().Str("component", admin.ComponentName(r.Component, r.Server)).Str("requester", r.Requester).
		Msg("component state request expired")
}

// obey does what the components' states say.
func (c *componentStates) obey() {
	in := c.set.State(components.ImapProxy) == components.Active
	c.clients.server.SetService(in)
	if !in {
		c.log.Warn().Msg("component ImapProxy is Inactive: new clients are refused, sessions continue")
	}
}

// inService is a check of /readyz.
func (c *componentStates) inService() error {
	if c.set.State(components.ImapProxy) != components.Active {
		return errors.New("component ImapProxy is Inactive")
	}
	return nil
}

// ask stores what a requester wants, and does it.
func (c *componentStates) ask(ctx context.Context, r components.Request) error {
	done, err := c.config.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	r.Who = admin.Who(ctx)
	if _, err := c.set.Ask(ctx, r); err != nil {
		return err
	}
	c.log.Warn().Str("component", admin.ComponentName(r.Component, r.Server)).Str("requester", r.Requester).
		Str("state", r.State).Str("who", r.Who).Msg("component state set")
	return nil
}

// reached says in words which state a component has after somebody has asked for one, and whether it is that.
func (c *componentStates) reached(component, server, wanted string) (words string, ok bool) {
	state := c.set.StateOf(component, server)
	if state == wanted {
		return state, true
	}
	var who []string
	for _, found := range c.set.States() {
		if found.Component != component || found.Server != server {
			continue
		}
		for _, r := range found.Requests {
			if r.State != wanted {
				who = append(who, admin.RequestText(component, r))
			}
		}
	}
	return state + ": " + cmp.Or(strings.Join(who, "; "), "run portico component get"), false
}

// componentsAPI implements admin.Components.
type componentsAPI struct{ s *service }

// Components implements admin.Components.
func (c componentsAPI) Components() []components.State { return c.s.components.set.States() }

// SetComponent implements admin.Components.
func (c componentsAPI) SetComponent(ctx context.Context, r components.Request) (admin.Change, error) {
	r, err := r.Known()
	if err != nil {
		return admin.Change{}, err
	}
	if r.Server != "" {
		if err := c.s.current().known(r.Server); err != nil {
			return admin.Change{}, err
		}
	}
	r.Source = components.SourceOperator
	change := admin.Change{What: "component " + admin.ComponentName(r.Component, r.Server),
		Was: c.s.components.set.StateOf(r.Component, r.Server)}
	err = c.s.components.ask(ctx, r)
	change.Now, _ = c.s.components.reached(r.Component, r.Server, r.State)
	if !r.Until.IsZero() && change.Now == r.State {
		change.Now += " until " + table.Time(r.Until)
	}
	return change, err
}
