package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/proxy"
)

// Penalty is what failed sign-ins have brought an address, a user, or a user at an address.
type Penalty struct {
	Node     string     `json:"node,omitempty"`    // whose penalty it is, where the penalties of several nodes are listed
	User     string     `json:"user,omitempty"`    // "" for all users
	Address  string     `json:"address,omitempty"` // a network; "" for all addresses
	Failures int        `json:"failures"`          // that count
	Wait     float64    `json:"wait"`              // seconds that the next refusal waits
	Last     *time.Time `json:"last,omitempty"`    // of these failures
	Guesses  float64    `json:"guesses"`           // wrong credentials that may be judged at once now
	Burst    float64    `json:"burst"`             // after a quiet time; 0 if none was counted
	Held     int        `json:"held,omitempty"`    // sign-ins that wait to be judged
}

// PenaltyFilter says which penalties are meant: those that fit all that is given, or with All all of them.
type PenaltyFilter struct {
	User string `json:"user,omitempty"` // as somebody has typed it; see Users.Named
	IP   string `json:"ip,omitempty"`   // an address or a network
	All  bool   `json:"all,omitempty"`
}

// The paths of penalties.
const (
	PathPenalties      = prefix + "penalties"
	PathPenaltiesClear = PathPenalties + "/clear"
)

// Penalties are the penalties as the API shows and lifts them.
type Penalties interface {
	Penalties(ctx context.Context, which PenaltyFilter) ([]proxy.AuthDelay, error)
	// ClearPenalties lifts penalties, and lists them.
	ClearPenalties(ctx context.Context, which PenaltyFilter) ([]proxy.AuthDelay, error)
}

// penaltyRoutes adds penalties to the API.
func penaltyRoutes(api huma.API, p Penalties) {
	get(api, "list-penalties", PathPenalties, "List what failed sign-ins have brought addresses and users",
		func(ctx context.Context, of *struct {
			User string `query:"user"`
			IP   string `query:"ip"`
		}) ([]Penalty, error) {
			all, err := p.Penalties(ctx, PenaltyFilter{User: of.User, IP: of.IP, All: of.User+of.IP == ""})
			return PenaltyRows(all), err
		})
	change(api, "clear-penalties", PathPenaltiesClear, "Lift penalties",
		func(ctx context.Context, _ string, which PenaltyFilter) ([]Penalty, error) {
			cleared, err := p.ClearPenalties(ctx, which)
			rows := PenaltyRows(cleared)
			if err == nil {
				Changed(ctx, Difference{"penalties", rows, []Penalty{}})
			}
			return rows, err
		})
}

// PenaltyRows are penalties in their order.
func PenaltyRows(penalties []proxy.AuthDelay) []Penalty {
	rows := []Penalty{}
	for _, p := range penalties {
		row := Penalty{User: p.User, Failures: p.Failures, Wait: p.Wait.Seconds(), Guesses: p.Guesses,
			Burst: p.Burst, Held: p.Held}
		if p.Address.IsValid() {
			row.Address = p.Address.String()
		}
		if !p.Last.IsZero() {
			at := p.Last.UTC()
			row.Last = &at
		}
		rows = append(rows, row)
	}
	return rows
}
