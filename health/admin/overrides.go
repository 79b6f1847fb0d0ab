package admin

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

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

// overrideRoutes adds overrides to the API.
func overrideRoutes(api huma.API, all Overrides) {
	get(api, "list-overrides", PathOverrides, "List what operators have set otherwise for probes and monitors",
		func(context.Context, *None) ([]health.Override, error) { return all.Overrides(), nil })
	change(api, "add-override", PathOverrideAdd, "Set a property of a probe or monitor otherwise",
		func(ctx context.Context, _ string, o health.Override) (Change, error) {
			o.Identity = catalogue.Canonical(o.Identity)
			return all.AddOverride(ctx, o)
		})
	change(api, "remove-override", PathOverrideRemove, "Let a property be as it is configured",
		func(ctx context.Context, _ string, o health.Override) (Change, error) {
			o.Identity = catalogue.Canonical(o.Identity)
			return all.RemoveOverride(ctx, o)
		})
}
