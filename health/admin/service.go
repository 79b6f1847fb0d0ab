package admin

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The paths of this node's processes.
const (
	PathGenerations = prefix + "service/generations"
	PathUpgrade     = prefix + "service/upgrade"
)

// Service is the node's processes: the one that takes clients, and earlier ones that still carry sessions.
type Service interface {
	// Generations lists the processes, the one that takes clients first, then the latest first.
	Generations(ctx context.Context) []Generation
	// Upgrade starts a program that takes clients in place of this process, and returns it. This process keeps its
	// sessions for the time of drain. program "" is the present one, and drain 0 the default. On an error nothing has
	// changed.
	Upgrade(ctx context.Context, program string, drain time.Duration) (Generation, error)
}

// Generation is a process of the node.
type Generation struct {
	PID      int       `json:"pid"`
	Version  string    `json:"version"`
	Since    time.Time `json:"since"`          // when it was started
	Sessions int       `json:"sessions"`       // signed-in sessions and sign-ins that it carries
	Until    time.Time `json:"until,omitzero"` // when it ends the sessions that are left; of an earlier process
	Serving  bool      `json:"serving"`        // it takes clients

	// Silent is for how many seconds an earlier process has not answered; 0 if it answers. Its sessions are missing in
	// lists of sessions. It is killed with them when it has been silent for a minute.
	Silent float64 `json:"silent,omitempty"`
}

// UpgradeRequest asks for another process.
type UpgradeRequest struct {
	// Program is the program to start. The default is the present one, which may have been replaced on the disk. Only
	// Portico's own user and root, over admin.socket, may name another one: it runs as Portico's user.
	Program string `json:"program,omitempty"`
	// Seconds is how long this process keeps its sessions. The default is 12 hours.
	Seconds float64 `json:"seconds,omitempty" minimum:"0" maximum:"2592000"`
}

// serviceRoutes adds the node's processes to the API.
func serviceRoutes(api huma.API, s Service) {
	get(api, "list-generations", PathGenerations, "List the processes of this node, and the sessions that each carries",
		func(ctx context.Context, _ *None) ([]Generation, error) { return s.Generations(ctx), nil })
	change(api, "upgrade", PathUpgrade, "Start another process that takes clients in place of this one, which keeps "+
		"its sessions",
		func(ctx context.Context, _ string, r UpgradeRequest) (Generation, error) {
			if r.Program != "" && !isOwner(ctx) {
				return Generation{}, Of(KindForbidden,
					errors.New("only Portico's own user and root may name a program, over admin.socket"))
			}
			made, err := s.Upgrade(ctx, r.Program, inSeconds(r.Seconds))
			if err == nil {
				Changed(ctx, Difference{"process", nil, made.PID})
			}
			return made, err
		})
}
