package node

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"portico/health/admin"
	"portico/protolog"
	"portico/proxy"
)

// penaltiesAPI implements admin.Penalties.
type penaltiesAPI struct{ s *service }

// Penalties implements admin.Penalties.
func (c penaltiesAPI) Penalties(ctx context.Context, which admin.PenaltyFilter) ([]proxy.AuthDelay, error) {
	fits, err := c.penalised(ctx, which)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(c.s.clients.server.AuthDelays(), func(p proxy.AuthDelay) bool { return !fits(p) }), nil
}

// ClearPenalties implements admin.Penalties.
func (c penaltiesAPI) ClearPenalties(ctx context.Context, which admin.PenaltyFilter) ([]proxy.AuthDelay, error) {
	fits, err := c.penalised(ctx, which)
	if err != nil {
		return nil, err
	}
	list := c.s.clients.server.Forgive(fits)
	c.s.log.Warn().Interface("which", which).Int("penalties", len(list)).Msg("penalties cleared by an operator")
	return list, nil
}

// penalised returns a function that says which penalties are meant.
func (c penaltiesAPI) penalised(ctx context.Context, which admin.PenaltyFilter) (func(proxy.AuthDelay) bool, error) {
	if !which.All && which.User == "" && which.IP == "" {
		return nil, errors.New("give a user, an address, or all: no penalties were named")
	}
	var user string
	if which.User != "" {
		name, err := c.s.clients.named(ctx, which.User)
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
