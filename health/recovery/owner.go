package recovery

import (
	"context"
	"time"
)

// Owner is the process that does a step. A node has one process at a time, so a step of another process of the same
// node was interrupted.
type Owner struct {
	Node         string    `json:"node,omitempty"` // "" if an earlier version has stored it: then it is this node
	ProcessStart time.Time `json:"process_start,omitzero"`
}

func (o Owner) is(other Owner) bool {
	return o.Node == other.Node && o.ProcessStart.Equal(other.ProcessStart)
}

// owner is the process that does what a record is about.
func (r *Record) owner() Owner { return Owner{r.Node, r.ProcessStart} }

// isForeign says whether an owner is another node. Whether that still runs is not known.
func (r *Responders) isForeign(o Owner) bool { return o.Node != "" && o.Node != r.owner.Node }

// wait is since when this process has known that another node does a step. Its own clock counts, because those of two
// nodes may differ.
type wait struct {
	owner Owner
	since time.Time
}

// waitForForeign notes which steps other nodes are doing. One that has no ladder and is not over after StepTime was
// interrupted. The caller holds acting.
func (r *Responders) waitForForeign(ctx context.Context) {
	before, now := r.foreign, r.opt.Now()
	r.foreign = make(map[uint64]wait)
	note := func(instance uint64, owner Owner) {
		w := before[instance]
		if w.since.IsZero() || !w.owner.is(owner) {
			w = wait{owner, now}
		}
		r.foreign[instance] = w
	}
	for _, l := range r.ladders {
		if l.Begun != 0 && r.isForeign(l.Owner) {
			note(l.Begun, l.Owner)
		}
	}
	begun := r.begunSteps()
	for _, record := range r.log.Started() {
		if begun[record.Instance] || !r.isForeign(record.owner()) {
			continue
		}
		if note(record.Instance, record.owner()); !r.lasts(record.Instance) {
			r.interrupt(ctx, record.Instance)
		}
	}
}

// lasts says whether another node may still be doing a step.
func (r *Responders) lasts(instance uint64) bool {
	w, ok := r.foreign[instance]
	return ok && r.opt.Now().Sub(w.since) < StepTime
}

// doneElsewhere says whether another node may be doing a ladder's step.
func (r *Responders) doneElsewhere(l *Ladder) bool {
	return l.Begun != 0 && r.isForeign(l.Owner) && r.lasts(l.Begun)
}

// begunSteps are the records of steps that a ladder has in progress.
func (r *Responders) begunSteps() map[uint64]bool {
	begun := make(map[uint64]bool)
	for _, l := range r.ladders {
		begun[l.Begun] = true
	}
	return begun
}

// interrupt ends a record whose process has ended, unless that process has ended the record.
func (r *Responders) interrupt(ctx context.Context, instance uint64) {
	r.log.refresh(ctx, r.opt.Failed)
	if record, ok := r.log.find(instance); ok && record.State == Started {
		r.end(ctx, record, ResultInterrupted, "Portico ended during the action", nil)
	}
}
