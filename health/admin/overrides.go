package admin

import (
	"context"
	"net/http"

	"portico/health"
	"portico/health/catalogue"
)

// The paths of overrides.
const (
	PathOverrides      = prefix + "overrides"
	PathOverrideAdd    = PathOverrides + "/add"
	PathOverrideRemove = PathOverrides + "/remove"
)

// Overrides are what operators have set otherwise for probes and monitors.
type Overrides interface {
	Overrides() []health.Override
	AddOverride(ctx context.Context, o health.Override) (Change, error)
	RemoveOverride(ctx context.Context, o health.Override) (Change, error)
}

// overrideRoutes adds overrides to the pages.
func overrideRoutes(mux *http.ServeMux, all Overrides) {
	get(mux, PathOverrides, func(*http.Request) (any, error) { return all.Overrides(), nil })
	change(mux, PathOverrideAdd, func(ctx context.Context, _ string, o health.Override) (any, error) {
		o.Identity = catalogue.Canonical(o.Identity)
		return all.AddOverride(ctx, o)
	})
	change(mux, PathOverrideRemove, func(ctx context.Context, _ string, o health.Override) (any, error) {
		o.Identity = catalogue.Canonical(o.Identity)
		return all.RemoveOverride(ctx, o)
	})
}
