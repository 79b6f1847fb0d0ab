package admin

import (
	"context"
	"net/http"
	"time"
)

// Penalty is what failed sign-ins have brought an address, a user, or a user at an address.
type Penalty struct {
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
	User string `json:"user,omitempty"` // as somebody has typed it; see Control.Named
	IP   string `json:"ip,omitempty"`   // an address or a network
	All  bool   `json:"all,omitempty"`
}

// Penalties are the penalties as the API shows and lifts them.
type Penalties interface {
	Penalties(ctx context.Context, which PenaltyFilter) ([]Penalty, error)
	// ClearPenalties lifts penalties, and lists them.
	ClearPenalties(ctx context.Context, which PenaltyFilter) ([]Penalty, error)
}

// penaltyAPI adds the penalties to the API.
func penaltyAPI(mux *http.ServeMux, p Penalties) {
	mux.HandleFunc("GET /api/v1/penalties", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		all, err := p.Penalties(r.Context(), PenaltyFilter{User: q.Get("user"), IP: q.Get("ip"),
			All: q.Get("user")+q.Get("ip") == ""})
		answer(w, all, err)
	})
	change(mux, "penalties/clear", func(ctx context.Context, _ string, which PenaltyFilter) (any, error) {
		cleared, err := p.ClearPenalties(ctx, which)
		if err == nil {
			Changed(ctx, Difference{"penalties", cleared, []Penalty{}})
		}
		return cleared, err
	})
}
