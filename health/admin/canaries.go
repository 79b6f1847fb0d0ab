package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The paths of canaries.
const (
	PathCanaries    = prefix + "canaries"
	PathCanaryStart = PathCanaries + "/{name}/start"
	PathCanarySet   = PathCanaries + "/{name}/set"
	PathCanaryStop  = PathCanaries + "/{name}/stop"
)

// Canaries are the canaries of databases as the API shows and changes them.
type Canaries interface {
	// Canaries lists the canaries, with buckets, or the one with a name if that is not empty.
	Canaries(name string) []Canary
	// StartCanary sends a part of a database's users to a server.
	StartCanary(ctx context.Context, name string, o CanaryStart) (Change, error)
	// SetCanary changes how many users are on a canary, or what stops it.
	SetCanary(ctx context.Context, name string, to CanarySet) (Change, error)
	// StopCanary sends all users back.
	StopCanary(ctx context.Context, name string) (Change, error)
}

// Canary is a part of a database's users that are sent to one of its servers, and how users are served there and on the
// others.
type Canary struct {
	Name     string      `json:"name"`
	Database string      `json:"database"`
	Server   string      `json:"server"`
	Percent  float64     `json:"percent"`
	Users    []string    `json:"users,omitempty"` // who are on it in any case
	Since    time.Time   `json:"since"`
	Until    *time.Time  `json:"until,omitempty"`   // when it ends by itself
	StopIf   string      `json:"stop_if,omitempty"` // at which figures health stops it, as errors=2x,p95=2x
	Reason   string      `json:"reason,omitempty"`  // why no user is on it; "" if some can be
	Arms     []CanaryArm `json:"arms"`              // the canary, and the other servers of the database
}

// CanaryArm is how users are served on the servers of one side, since the start of the canary but at most the last
// hour.
type CanaryArm struct {
	Servers  []string          `json:"servers"`
	Sessions int64             `json:"sessions"`
	SignIns  uint64            `json:"sign_ins"`
	Refused  map[string]uint64 `json:"refused,omitempty"` // by reason
	Verbs    []CanaryVerb      `json:"verbs"`
}

// RefusedSignIns returns how many sign-ins were refused.
func (a CanaryArm) RefusedSignIns() (all uint64) {
	for _, n := range a.Refused {
		all += n
	}
	return all
}

// CanaryVerb is how the servers of one side answered a command: how often with NO or BAD, and how long they took, in
// seconds: what 50, 95 and 99 % of the answers did not exceed. Of fewer than CanaryEnough answers, that says too
// little.
type CanaryVerb struct {
	Verb     string  `json:"verb"`
	Commands uint64  `json:"commands"`
	Errors   uint64  `json:"errors,omitempty"` // of these commands
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	// Buckets are the histogram of the server times, if it was asked for.
	Buckets []StatsBucket `json:"buckets,omitempty"`
}

// CanaryEnough is how many answers are enough to compare.
const CanaryEnough = 500

// CanaryShare returns the share of answers that failed, 0 of none.
func CanaryShare(failed, of uint64) float64 { return float64(failed) / float64(max(of, 1)) }

// CanaryStart is a canary that is to start.
type CanaryStart struct {
	Database string   `json:"database"`
	Server   string   `json:"server"`
	Percent  float64  `json:"percent,omitempty"`
	Users    []string `json:"users,omitempty"`   // who are on it in any case
	Seconds  float64  `json:"seconds,omitempty"` // after which it ends by itself; 0 for never
	StopIf   string   `json:"stop_if,omitempty"` // at which figures health stops it, as errors=2x,p95=2x
}

// CanarySet is what changes about a canary. What is missing stays.
type CanarySet struct {
	Percent *float64 `json:"percent,omitempty"`
	StopIf  *string  `json:"stop_if,omitempty"` // "" if health is not to stop it
}

// canaryRoutes adds canaries to the API.
func canaryRoutes(api huma.API, c Canaries) {
	get(api, "list-canaries", PathCanaries, "List the canaries, and how users are served there and on other servers",
		func(_ context.Context, in *struct {
			Name    string `query:"name"`    // only this canary
			Buckets bool   `query:"buckets"` // send the histograms too, to merge answers
		}) ([]Canary, error) {
			all := c.Canaries(in.Name)
			if !in.Buckets {
				withoutBuckets(all)
			}
			return all, nil
		})
	change(api, "start-canary", PathCanaryStart, "Send a part of a database's users to one of its servers",
		func(ctx context.Context, name string, o CanaryStart) (Change, error) {
			return c.StartCanary(ctx, name, o)
		})
	change(api, "set-canary", PathCanarySet, "Change how many users are on a canary",
		func(ctx context.Context, name string, to CanarySet) (Change, error) {
			return c.SetCanary(ctx, name, to)
		})
	change(api, "stop-canary", PathCanaryStop, "Send the users of a canary back",
		func(ctx context.Context, name string, _ None) (Change, error) { return c.StopCanary(ctx, name) })
}
