package recovery

import (
	"context"
	"fmt"
	"strings"

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

// disputes returns the monitors whose mailbox servers fail for this node, and not for most nodes that look at them:
// then this node's network is at fault, or what it asks. The leader records that, once for each server, and resigns.
func (r *Responders) disputes(ctx context.Context, s snapshot) map[string]bool {
	if r.opt.Site == nil {
		return nil
	}
	disputed, against := make(map[string]bool), make(map[string]bool)
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
		disputed[m.ID()], against[c.Server] = true, true
		steps := r.plan().Ladders[m.Name]
		if !r.leads || r.against[c.Server] || len(steps) == 0 {
			continue
		}
		const why = "%s fails for %s alone, and works for %s: the network of %s may be at fault, and another node decides"
		node := r.owner.Node
		r.enter(ctx, r.newRecord(steps[0], c, steps[0].Responder(m.Name), r.opt.Now()), ResultSkipped,
			fmt.Sprintf(why, c.Server, node, strings.Join(nodes, ", "), node))
		if r.against == nil {
			r.against = make(map[string]bool)
		}
		r.against[c.Server] = true
	}
	r.against = against
	if len(disputed) > 0 && r.leads {
		r.opt.Site.Resign()
		r.leads = false
	}
	return disputed
}
