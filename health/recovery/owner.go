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

// isForeign says whether an owner is another node. A Portico that is alone knows no other: there it is an earlier name.
func (r *Responders) isForeign(o Owner) bool {
	return r.opt.Site != nil && o.Node != "" && o.Node != r.owner.Node
}

// begunSteps are the records of steps that a ladder has in progress.
func (r *Responders) begunSteps() map[uint64]bool {
	begun := make(map[uint64]bool)
	for _, l := range r.ladders {
		begun[l.Begun] = true
	}
	return begun
}

// interruptAll ends the records that a process has left in progress at mailbox servers, and that no ladder has. The
// caller acts now, so that process does not.
func (r *Responders) interruptAll(ctx context.Context, of Owner) {
	begun := r.begunSteps()
	for _, record := range r.log.Started() {
		if !begun[record.Instance] && of.is(record.owner()) && kinds[actionOf(record.ID)].onServer {
			r.interrupt(ctx, record.Instance)
		}
	}
}

// interrupt ends a record whose process has ended, unless that process has ended the record.
func (r *Responders) interrupt(ctx context.Context, instance uint64) {
	r.log.refresh(ctx, r.opt.Failed)
	if record, ok := r.log.find(instance); ok && record.State == Started {
		r.end(ctx, record, ResultInterrupted, "Portico ended during the action", nil)
	}
}
