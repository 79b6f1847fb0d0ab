package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

// loadComponents reads what requesters want.
func (s *service) loadComponents() error {
	items, err := s.stored.components.List(context.Background())
	if err != nil {
		return fmt.Errorf("components: %w", err)
	}
	for _, item := range items {
		if item.Err != nil {
			s.reported("stored state of a component not usable", item.Err)
			continue
		}
		s.components.Set(item.Value)
	}
	s.obeyComponents()
	return nil
}

// obeyComponents does what the components' states say.
func (s *service) obeyComponents() {
	in := s.components.State(health.ComponentImapProxy) == health.Active
	s.server.SetService(in)
	if !in {
		s.log.Warn().Msg("component ImapProxy is Inactive: new clients are refused, sessions continue")
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
		return admin.Change{}, err
	}
	if r.Server != "" {
		if err := (control(c)).known(r.Server); err != nil {
			return admin.Change{}, err
		}
	}
	r.Source = health.SourceOperator
	change := admin.Change{What: "component " + admin.ComponentName(r.Component, r.Server),
		Was: c.s.components.StateOf(r.Component, r.Server)}
	err = c.s.setComponent(ctx, r)
	change.Now, _ = c.reached(r.Component, r.Server, r.State)
	if !r.Until.IsZero() && change.Now == r.State {
		change.Now += " until " + table.Time(r.Until)
	}
	return change, err
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

// setComponent keeps what a requester wants, and does it.
func (s *service) setComponent(ctx context.Context, r health.Request) error {
	done, err := s.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	r.At, r.Who = time.Now().UTC().Truncate(time.Millisecond), admin.Who(ctx)
	if err := s.stored.components.Replace(ctx, r.Key(), r); err != nil {
		return err
	}
	s.components.Set(r)
	s.log.Warn().Str("component", admin.ComponentName(r.Component, r.Server)).Str("requester", r.Requester).
		Str("state", r.State).Str("who", r.Who).Msg("component state set")
	s.obeyComponents()
	return nil
}

// endRequests deletes requests whose time is over. The caller holds changing.
func (s *service) endRequests(ctx context.Context, now time.Time) error {
	for _, r := range s.components.Requests() {
		if r.Until.IsZero() || now.Before(r.Until) {
			continue
		}
		if err := s.stored.components.Drop(ctx, r.Key()); err != nil {
			return err
		}
		s.components.Drop(r)
		s.log.Warn().Str("component", admin.ComponentName(r.Component, r.Server)).Str("requester", r.Requester).
			Msg("component state request expired")
		s.obeyComponents()
	}
	return nil
}
