package node

import (
	"errors"
	"fmt"

	"portico/configs/applied"
)

// rollbackTarget is the number of the configuration that a rollback goes to: the last one that was good before the one
// in force. A second rollback goes further back, and not to what the first one left. If the last change is not in force
// any more, whoever wants it gone has that already: then there is no target. records are sorted, the latest first.
func rollbackTarget(records []applied.Record, inForce int) (int, error) {
	present := applied.Record{Number: inForce}
	for _, r := range records {
		if r.Number == inForce {
			present = r
		}
	}
	before := present.Number
	if present.BackTo != 0 {
		before = present.BackTo
	}
	target := 0
	for _, r := range records {
		good := r.Result == applied.Applied || r.Result == applied.Started
		if r.Number < before && good && r.Hash != present.Hash {
			target = r.Number
			break
		}
	}
	if gone, ok := lastGone(records); ok && gone.Number > inForce {
		err := fmt.Errorf("there is nothing to roll back: configuration %d is not in force any more (%s), and configuration %d "+
			"is in force again", gone.Number, gone.Result, inForce)
		if target != 0 {
			err = fmt.Errorf("%w; to go further back, run portico config rollback %d", err, target)
		}
		return 0, err
	}
	if target == 0 {
		return 0, errors.New("there is no earlier configuration that was good: portico config history lists all")
	}
	return target, nil
}

// lastGone is the latest configuration that Portico has taken out of force.
func lastGone(records []applied.Record) (gone applied.Record, ok bool) {
	for _, r := range records {
		if r.Result == applied.Withdrawn || r.Result == applied.Interrupted {
			return r, true
		}
	}
	return gone, false
}
