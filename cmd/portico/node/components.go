package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/components"
)

// openComponents reads what requesters want.
func (s *service) openComponents() (err error) {
	s.components, err = components.Open(context.Background(), components.Options{
		Stored: s.stored.components, Changed: s.obeyComponents, Ended: s.requestEnded,
		Failed: func(err error) { s.reported("stored state of a component not usable", err) },
	})
	if err != nil {
		return fmt.Errorf("components: %w", err)
	}
	s.obeyComponents()
	return nil
}

// requestEnded logs that the time of a request is over.
func (s *service) requestEnded(r components.Request) {
	s.log.Warn().Str("component", admin.ComponentName(r.Component, r.Server)).Str("requester", r.Requester).
		Msg("component state request expired")
}

// obeyComponents does what the components' states say.
func (s *service) obeyComponents() {
	in := s.components.State(components.ImapProxy) == components.Active
	s.server.SetService(in)
	if !in {
		s.log.Warn().Msg("component ImapProxy is Inactive: new clients are refused, sessions continue")
	}
}

// inService is a check of /readyz.
func (s *service) inService() error {
	if s.components.State(components.ImapProxy) != components.Active {
		return errors.New("component ImapProxy is Inactive")
	}
	return nil
}

// alerting returns the monitors of whose state somebody is to be told; nil while Monitoring is Inactive.
func (s *service) alerting() []health.MonitorState {
	if s.components.State(components.Monitoring) != components.Active {
		return nil
	}
	return s.health.Monitors()
}

// componentsAPI implements admin.Components.
type componentsAPI struct{ s *service }

// Components implements admin.Components.
func (c componentsAPI) Components() []components.State { return c.s.components.States() }

// SetComponent implements admin.Components.
func (c componentsAPI) SetComponent(ctx context.Context, r components.Request) (admin.Change, error) {
	r, err := r.Known()
	if err != nil {
		return admin.Change{}, err
	}
	if r.Server != "" {
		if err := c.s.known(r.Server); err != nil {
			return admin.Change{}, err
		}
	}
	r.Source = components.SourceOperator
	change := admin.Change{What: "component " + admin.ComponentName(r.Component, r.Server),
		Was: c.s.components.StateOf(r.Component, r.Server)}
	err = c.s.setComponent(ctx, r)
	change.Now, _ = c.s.reached(r.Component, r.Server, r.State)
	if !r.Until.IsZero() && change.Now == r.State {
		change.Now += " until " + table.Time(r.Until)
	}
	return change, err
}

// reached says in words which state a component has after somebody has asked for one, and whether it is that.
func (s *service) reached(component, server, wanted string) (words string, ok bool) {
	state := s.components.StateOf(component, server)
	if state == wanted {
		return state, true
	}
	var who []string
	for _, of := range s.components.States() {
		if of.Component != component || of.Server != server {
			continue
		}
		for _, r := range of.Requests {
			if r.State != wanted {
				who = append(who, admin.RequestText(component, r))
			}
		}
	}
	return state + ": " + cmp.Or(strings.Join(who, "; "), "run portico component get"), false
}

// change waits for the turn of whoever wants to change something, and returns what ends it. It is an error if the
// context ends first: nothing is changed for somebody who has given up.
func (s *service) change(ctx context.Context) (done func(), err error) {
	s.changing.Lock()
	if ctx.Err() != nil {
		s.changing.Unlock()
		return nil, fmt.Errorf("nothing has changed, because another change was in progress: %w", context.Cause(ctx))
	}
	return s.changing.Unlock, nil
}

// untilStarted waits until the node has started, and no other change is in progress.
func (s *service) untilStarted(ctx context.Context) error {
	done, err := s.change(ctx)
	if err == nil {
		done()
	}
	return err
}

// setComponent keeps what a requester wants, and does it.
func (s *service) setComponent(ctx context.Context, r components.Request) error {
	done, err := s.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	r.Who = admin.Who(ctx)
	if _, err := s.components.Ask(ctx, r); err != nil {
		return err
	}
	s.log.Warn().Str("component", admin.ComponentName(r.Component, r.Server)).Str("requester", r.Requester).
		Str("state", r.State).Str("who", r.Who).Msg("component state set")
	return nil
}
