package node

import (
	"context"
	"errors"
	"net/netip"

	"portico/health/admin"
	"portico/protolog"
	"portico/proxy"
)

// Penalties implements admin.Penalties.
func (c control) Penalties(ctx context.Context, which admin.PenaltyFilter) ([]admin.Penalty, error) {
	fits, err := c.penalised(ctx, which)
	if err != nil {
		return nil, err
	}
	list := []admin.Penalty{}
	for _, p := range c.s.server.AuthDelays() {
		if fits(p) {
			list = append(list, penalty(p))
		}
	}
	return list, nil
}

// ClearPenalties implements admin.Penalties.
func (c control) ClearPenalties(ctx context.Context, which admin.PenaltyFilter) ([]admin.Penalty, error) {
	fits, err := c.penalised(ctx, which)
	if err != nil {
		return nil, err
	}
	list := []admin.Penalty{}
	for _, p := range c.s.server.Forgive(fits) {
		list = append(list, penalty(p))
	}
	c.s.log.Warn().Interface("which", which).Int("penalties", len(list)).Msg("penalties cleared by an operator")
	return list, nil
}

// penalised returns a function that says which penalties are meant.
func (c control) penalised(ctx context.Context, which admin.PenaltyFilter) (func(proxy.AuthDelay) bool, error) {
	if !which.All && which.User == "" && which.IP == "" {
		return nil, errors.New("give a user, an address, or all: no penalties were named")
	}
	var user string
	if which.User != "" {
		name, err := c.Named(ctx, which.User)
		if err != nil {
			return nil, err
		}
		user = proxy.ShownName(name.User)
	}
	var network netip.Prefix
	if which.IP != "" {
		var err error
		if network, err = protolog.ParseNetwork(which.IP); err != nil {
			return nil, err
		}
	}
	return func(p proxy.AuthDelay) bool {
		return (user == "" || p.User == user) && (!network.IsValid() ||
			p.Address.IsValid() && p.Address.Overlaps(network))
	}, nil
}

func penalty(p proxy.AuthDelay) admin.Penalty {
	shown := admin.Penalty{User: p.User, Failures: p.Failures, Wait: p.Wait.Seconds(), Guesses: p.Guesses,
		Burst: p.Burst, Held: p.Held}
	if p.Address.IsValid() {
		shown.Address = p.Address.String()
	}
	if !p.Last.IsZero() {
		at := p.Last.UTC()
		shown.Last = &at
	}
	return shown
}
