package health

import (
	"context"
	"fmt"
	"sync"
)

// Shortage checks whether clients have found Portico without descriptors, ports or memory since its last run. counted
// returns how many have so far. left returns why the next client would find none, or nil.
func Shortage(counted func() uint64, left func() error) func(context.Context, *Run) error {
	var mu sync.Mutex
	before := counted()
	return func(_ context.Context, run *Run) error {
		mu.Lock()
		defer mu.Unlock()
		now := counted()
		since := now - before
		before, run.Value = now, float64(since)
		if err := left(); err != nil {
			return &Failure{Portico, "descriptors", err}
		}
		if since > 0 {
			return &Failure{Portico, "descriptors",
				fmt.Errorf("%d connections and sign-ins failed because no descriptor, port or memory was left", since)}
		}
		return nil
	}
}

// Stored checks whether Portico can write its store. try writes to the disk, and reads the store.
func Stored(try func() error) func(context.Context, *Run) error {
	return func(context.Context, *Run) error {
		if err := try(); err != nil {
			return &Failure{Portico, "store", err}
		}
		return nil
	}
}

// ownFault blames Portico for what failed at its own listener while it is short of descriptors.
func (f Front) ownFault(run *Run, err error) error {
	if err == nil || run.Endpoint != "" || f.Left == nil {
		return err
	}
	short := f.Left()
	if short == nil {
		return err
	}
	return &Failure{Portico, run.phase, fmt.Errorf("%w; %w", err, short)}
}
