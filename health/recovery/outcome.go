package recovery

import (
	"context"
	"slices"
	"strings"
	"time"

	"portico/health"
)

// endFault notes that a monitor has seen its target well: the next fault begins at the foot of the ladder.
func (r *Responders) endFault(ctx context.Context, l *Ladder, m health.MonitorState) {
	if l.Since.IsZero() || m.Value != health.Healthy && m.Value != health.Degraded {
		return
	}
	if !l.ForPeople {
		r.helped(l)
	}
	l.Since, l.Rung, l.Next, l.ForPeople, l.Escalated, l.Postponed, l.Due = time.Time{}, 0, time.Time{}, false, false,
		0, time.Time{}
	l.held, l.blamed = time.Time{}, time.Time{}
	r.save(ctx, l)
}

// helped tells of the last step that may have mended what a ladder was for, now that its monitor is healthy. Of a
// failover somebody was told when it was done.
func (r *Responders) helped(l *Ladder) {
	for _, record := range slices.Backward(r.log.Records()) {
		if record.Monitor != l.Monitor || record.Start.Before(l.Since) || record.Result != ResultSucceeded ||
			!kinds[actionOf(record.ID)].mends {
			continue
		}
		if !kinds[actionOf(record.ID)].informs {
			r.opt.Helped(record)
		}
		return
	}
}

// Escalated notes in the recovery log that somebody was told about monitors: one record for all that nobody was told
// about before in their present faults.
func (r *Responders) Escalated(ctx context.Context, monitors []string, who string) {
	if r.turn(ctx) != nil {
		return
	}
	defer r.endTurn()
	var newly []string
	for _, id := range slices.SortedFunc(slices.Values(monitors), compareRank) {
		l := r.ladders[id]
		if l == nil {
			id = Case{Monitor: id, Node: r.owner.Node}.name()
			l = r.ladders[id]
		}
		if l != nil && !l.Escalated {
			l.Escalated = true
			r.save(ctx, l)
			newly = append(newly, id)
		}
	}
	if len(newly) == 0 {
		return
	}
	message := "told: " + who
	if others := newly[1:]; len(others) > 0 {
		message += "; also of " + strings.Join(others, ", ")
	}
	record := r.newRecord(Escalate, r.ladders[newly[0]].Case, Escalate.Responder(nameOf(newly[0])), r.opt.Now())
	r.enter(ctx, record, ResultSucceeded, message)
}
