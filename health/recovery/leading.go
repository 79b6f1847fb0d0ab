package recovery

import (
	"context"
	"fmt"
	"strings"
	"time"

	"portico/health"
)

// lead finds out whether this node looks after mailbox servers at present. A node on which recovery is switched off
// leaves that to another one.
func (r *Responders) lead(ctx context.Context, may bool) {
	if r.opt.Site == nil {
		return
	}
	r.leads = r.opt.Site.Leads()
	if r.leads && !may {
		r.opt.Site.Resign()
	}
	if r.leads = r.leads && may; r.leads {
		r.leads = !r.busy(ctx)
	}
}

// mine says whether this node goes on with the ladder of a case.
func (r *Responders) mine(c Case) bool {
	switch {
	case r.opt.Site == nil:
		return true
	case c.Node != "":
		return c.Node == r.owner.Node
	}
	return r.leads
}

// caseOf returns the case of a monitor's failure. On a site, one without a mailbox server is this node's own.
func (r *Responders) caseOf(m health.MonitorState, s snapshot) Case {
	c := s.caseOf(m)
	if r.opt.Site != nil && c.Server == "" {
		c.Node = r.owner.Node
	}
	return c
}

// strays says whether a ladder on which nothing was done has another owner by now: the fault that was this node's own
// is a mailbox server's, or the reverse.
func (r *Responders) strays(l *Ladder, m health.MonitorState, s snapshot) bool {
	return r.opt.Site != nil && m.Value == health.Unhealthy && l.Rung == 0 && l.Begun == 0 && len(l.Lift) == 0 &&
		r.caseOf(m, s).Node != l.Node
}

// left says whether a ladder is from a site that this node has left: of the front end of one of its nodes.
func (r *Responders) left(l *Ladder) bool { return r.opt.Site == nil && l.Node != "" }

// leave takes back what this node has done by a ladder of a site that it has left, and forgets the ladder.
func (r *Responders) leave(ctx context.Context, id string, l *Ladder, s snapshot) {
	if l.Node != r.owner.Node || r.release(ctx, l, s) {
		r.forget(ctx, id)
	}
}

// overlooked says whether people have to know of an unhealthy monitor, because no ladder is in progress although it
// has been unhealthy for the time of a step: the leader does not see that it is.
func (r *Responders) overlooked(m health.MonitorState) bool {
	if r.opt.Site == nil || m.Value != health.Unhealthy || r.opt.Now().Sub(m.LastTransition) <= r.plan().Wait {
		return false
	}
	for _, c := range []Case{{Monitor: m.ID()}, {Monitor: m.ID(), Node: r.owner.Node}} {
		if l := r.ladders[c.name()]; l != nil && !l.Since.IsZero() {
			return false
		}
	}
	return true
}

// dispute is a mailbox server that fails for this node, and not for most nodes that look at it.
type dispute struct {
	since    time.Time
	recorded bool
}

// disputes returns the monitors whose mailbox servers fail for this node, and not for most nodes that look at them.
// Either the others are about to see the same, or this node's network is at fault. If it lasts for two runs of the
// probe, and a minute at least, the leader records that, once for each server, and resigns.
func (r *Responders) disputes(ctx context.Context, s snapshot) map[string]bool {
	if r.opt.Site == nil {
		return nil
	}
	disputed, before, now := make(map[string]bool), r.disputed, r.opt.Now()
	r.disputed = make(map[string]dispute)
	resigns := false
	for _, m := range s.all {
		if m.Value != health.Unhealthy {
			continue
		}
		c := r.caseOf(m, s)
		if c.Server == "" {
			continue
		}
		nodes := r.opt.Site.Against(m)
		if len(nodes) == 0 {
			continue
		}
		disputed[m.ID()] = true
		d, known := r.disputed[c.Server]
		if !known {
			if d, known = before[c.Server]; !known {
				d.since = now
			}
		}
		steps := r.plan().Ladders[m.Name]
		if r.leads && len(steps) > 0 && now.Sub(d.since) > max(lookAgain, 2*m.Interval) {
			resigns = true
			if !d.recorded {
				r.enter(ctx, r.newRecord(steps[0], c, steps[0].Responder(m.Name), now), ResultSkipped,
					r.alone(c.Server, nodes))
			}
			d.recorded = true
		}
		r.disputed[c.Server] = d
	}
	if resigns {
		r.opt.Site.Resign()
		r.leads = false
	}
	return disputed
}

// alone is the message about a server that fails for this node alone.
func (r *Responders) alone(server string, against []string) string {
	return fmt.Sprintf("%s fails for %s, and not for %s: the network of %s may be at fault, and another node "+
		"decides", server, r.owner.Node, strings.Join(against, ", "), r.owner.Node)
}
