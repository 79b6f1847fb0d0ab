// Package repairing keeps which monitors of a site are Repairing: an operator knows that their targets fail, and works
// on it. It is kept in the store and survives a restart.
package repairing

import (
	"context"
	"errors"
	"sync"

	"portico/configs/store"
	"portico/health"
)

// Engine is what judges the monitors: *health.Engine.
type Engine interface {
	Monitors() []health.MonitorState
	SetRepairing(monitor string, on bool) error
}

// Set is the monitors that are Repairing. Its methods are safe for concurrent use.
type Set struct {
	engine Engine
	mirror *store.Mirror[bool]
	failed func(error)

	applying sync.Mutex // held from the read of what is stored until the engine has it
}

// Open reads which monitors are Repairing; stored has true by their identities. The engine learns of it by Apply.
// failed is told what cannot be read.
func Open(ctx context.Context, stored store.Set[bool], engine Engine, failed func(error)) (*Set, error) {
	s := &Set{engine: engine, failed: failed}
	var err error
	s.mirror, err = store.NewMirror(ctx, stored, store.MirrorOptions{Changed: s.Apply, Failed: failed})
	return s, err
}

// Run follows the store until ctx ends.
func (s *Set) Run(ctx context.Context) { s.mirror.Run(ctx) }

// Apply tells the engine of each of its monitors whether that is Repairing. It has to be called for each new plan: a
// monitor that the plan before did not have may be among them.
func (s *Set) Apply() {
	s.applying.Lock()
	defer s.applying.Unlock()
	on := make(map[string]bool)
	for _, item := range s.mirror.All() {
		on[item.Name] = item.Value
	}
	for _, m := range s.engine.Monitors() {
		if err := s.engine.SetRepairing(m.ID(), on[m.ID()]); err != nil && !errors.Is(err, health.ErrUnknown) {
			s.failed(err)
		}
	}
}

// Set stores whether a monitor is Repairing, and says whether it was.
func (s *Set) Set(ctx context.Context, monitor string, on bool) (was bool, err error) {
	item, err := s.mirror.Get(ctx, monitor)
	if err != nil {
		return false, err
	}
	switch was = item.Revision != 0 && item.Err == nil; {
	case on && !was:
		item.Value = true
		_, err = s.mirror.Put(ctx, item)
	case !on:
		err = s.mirror.Remove(ctx, item)
	}
	return was, err
}
