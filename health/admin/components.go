package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"portico/health/admin/table"
	"portico/health/components"
)

// PathComponents is that of the components: GET lists them, POST sets one.
const PathComponents = prefix + "components"

// Components are what this node does, or does not while somebody wants that.
type Components interface {
	Components() []components.State
	SetComponent(ctx context.Context, r components.Request) (Change, error)
}

// componentRoutes adds components to the API.
func componentRoutes(api huma.API, c Components) {
	get(api, "list-components", PathComponents, "List what this node does, or does not while somebody wants that",
		func(context.Context, *None) ([]components.State, error) { return c.Components(), nil })
	change(api, "set-component", PathComponents, "Ask for a state of a component",
		func(ctx context.Context, _ string, r components.Request) (Change, error) {
			return c.SetComponent(ctx, r)
		})
}

// ComponentName names a component, and the mailbox server that it is of.
func ComponentName(component, server string) string {
	if server == "" {
		return component
	}
	return component + " of " + server
}

// RequestText says what a requester wants, since when, and where the entry comes from: of which component it is, and
// who made it.
func RequestText(component string, r components.Request) string {
	text := fmt.Sprintf("%s by %s since %s", r.State, r.Requester, table.Time(r.At))
	if !r.Until.IsZero() {
		text += " until " + table.Time(r.Until)
	}
	var from []string
	if r.Component != component {
		from = append(from, r.Component)
	}
	if r.Source != "" {
		from = append(from, "set by "+Asker(r.Source, r.Who))
	}
	if len(from) > 0 {
		text += " (" + strings.Join(from, ", ") + ")"
	}
	return text
}

// Asker names a kind of requester, and the user or token behind it where one is known.
func Asker(kind, who string) string {
	if who == "" {
		return kind
	}
	return kind + " " + who
}
