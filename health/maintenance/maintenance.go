// Package maintenance takes mailbox servers of a site out of use while people work on them, and back. Which servers
// are in maintenance is kept in the store and survives a restart.
package maintenance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"portico/backend"
	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
)

// By is who blocks a mailbox server for maintenance.
const By = "maintenance"

// Server is a mailbox server in maintenance.
type Server struct {
	Name   string         `json:"server"`
	Since  time.Time      `json:"since"`
	Policy backend.Policy `json:"policy,omitempty"` // that it had before, if that was changed by command
}

// Step is what became of a step on the way in or out.
type Step struct {
	What   string
	Was    string // before the step
	Result string
	Done   bool
}

// Options is what a Set is built from.
type Options struct {
	Stored store.Set[Server] // by name
	Active *backend.ActiveManager
	Policy func(server string) backend.Policy // in force: by command, or else by the configuration
	// Evacuate moves what is active on a server to other copies.
	Evacuate func(ctx context.Context, server string) ([]backend.MoveResult, error)
	// Began is told that a server is in maintenance now, before its databases move; nil tells nobody.
	Began func(server string)
	// Changed is called when other servers are in maintenance, one call at a time. It must not change that.
	Changed func()
	Failed  func(error) // told what cannot be read; nil tells nobody
	Now     func() time.Time
}

// Set is the mailbox servers in maintenance. Its methods are safe for concurrent use.
type Set struct {
	opt    Options
	mirror *store.Mirror[Server]
}

// Open reads which servers are in maintenance.
func Open(ctx context.Context, o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Began == nil {
		o.Began = func(string) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	mirror, err := store.NewMirror(ctx, o.Stored, store.MirrorOptions{Changed: o.Changed, Failed: o.Failed})
	return &Set{o, mirror}, err
}

// Run follows the store until ctx ends.
func (s *Set) Run(ctx context.Context) { s.mirror.Run(ctx) }

// Servers returns the servers in maintenance, by name.
func (s *Set) Servers() map[string]Server {
	all := make(map[string]Server)
	for _, item := range s.mirror.All() {
		all[item.Name] = item.Value
	}
	return all
}

// SwitchOff switches off those monitors of a plan whose targets are in maintenance.
func (s *Set) SwitchOff(plan health.Plan) {
	servers := s.Servers()
	for i := range plan.Monitors {
		m := &plan.Monitors[i]
		if _, ok := servers[m.Target]; ok && catalogue.Of(m.Name).OffInMaintenance() {
			m.Off = true
		}
	}
}

// Start takes a server into maintenance for who asks, in Exchange's order: block activation, move the active
// databases, forbid automatic activation. It may be asked again, to go on where an error has ended it.
func (s *Set) Start(ctx context.Context, server, who string) (steps []Step, err error) {
	item, err := s.mirror.Get(ctx, server)
	if err != nil {
		return nil, err
	}
	activation := s.activation(server)
	if err := s.opt.Active.BlockAs(ctx, server, backend.Blocker{By: By, Who: who}); err != nil {
		return nil, err
	}
	monitors := health.Disabled.String()
	if item.Revision == 0 || item.Err != nil { // else the policy that it had is known already
		monitors = "enabled"
		policy := s.opt.Active.Policy(server)
		if item.Err != nil && policy == backend.BlockedByPolicy {
			policy = "" // that may be of the maintenance which cannot be read: Stop goes back to the configured one
		}
		item.Value = Server{Name: server, Since: s.opt.Now().UTC().Truncate(time.Millisecond), Policy: policy}
		if _, err := s.mirror.Put(ctx, item); err != nil {
			return nil, errors.Join(err, s.opt.Active.Unblock(ctx, server, By))
		}
	}
	s.opt.Began(server)
	steps = append(steps, Step{"activation on " + server, activation, s.activation(server), true})
	moves, err := s.opt.Evacuate(ctx, server)
	if err != nil {
		return steps, err
	}
	for _, moved := range moves {
		step := Step{"database " + moved.Database, moved.From, "moved to " + moved.To, true}
		if moved.Err != nil {
			step.Result, step.Done = "kept: "+moved.Err.Error(), false
		}
		steps = append(steps, step)
	}
	policy := s.opt.Policy(server)
	if err := s.opt.Active.SetPolicy(ctx, server, backend.BlockedByPolicy); err != nil {
		return steps, err
	}
	return append(steps,
		Step{"AutoActivationPolicy of " + server, string(policy), string(backend.BlockedByPolicy), true},
		Step{"monitors of " + server, monitors, health.Disabled.String(), true}), nil
}

// Stop takes a server out of maintenance: the same in reverse. No database moves back. An error that wraps
// health.ErrUnknown says that the server is not in maintenance.
func (s *Set) Stop(ctx context.Context, server string) (steps []Step, err error) {
	item, err := s.mirror.Get(ctx, server)
	if err != nil {
		return nil, err
	}
	if item.Revision == 0 || item.Err != nil {
		return nil, health.Unknown(fmt.Sprintf("mailbox server %q is not in maintenance", server))
	}
	policy, activation := s.opt.Policy(server), s.activation(server)
	if err := s.opt.Active.SetPolicy(ctx, server, item.Value.Policy); err != nil {
		return nil, err
	}
	steps = append(steps, Step{"AutoActivationPolicy of " + server, string(policy), string(s.opt.Policy(server)), true})
	if err := s.opt.Active.Unblock(ctx, server, By); err != nil {
		return steps, err
	}
	step := Step{"activation on " + server, activation, "allowed", true}
	if by := s.opt.Active.BlockedBy(server); len(by) > 0 {
		step.Result, step.Done = "still blocked, by "+strings.Join(by, " and "), false
	}
	steps = append(steps, step)
	if err := s.mirror.Remove(ctx, item); err != nil {
		return steps, err
	}
	return append(steps, Step{"monitors of " + server, health.Disabled.String(), "enabled", true}), nil
}

// activation says whether databases may be activated on a server.
func (s *Set) activation(server string) string {
	if s.opt.Active.Blocked(server) {
		return "blocked"
	}
	return "allowed"
}
