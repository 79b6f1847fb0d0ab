package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

func (r *Responders) newRecord(action Action, c Case, requestor string, now time.Time) Record {
	k := kinds[action]
	return Record{ID: k.id, Resource: k.resource(c), Requestor: requestor, Monitor: c.Monitor, Start: now,
		ProcessStart: r.began}
}

// enter writes a record that begins and ends at once.
func (r *Responders) enter(ctx context.Context, record Record, result Result, message string) Record {
	record.Start = r.opt.Now()
	return r.end(ctx, record, result, message, nil)
}

// end writes the end of a record.
func (r *Responders) end(ctx context.Context, record Record, result Result, message string, err error) Record {
	record.End, record.State, record.Result, record.Message = r.opt.Now(), Finished, result, message
	if err != nil {
		record.Exception = err.Error()
	}
	r.write(ctx, &record)
	return record
}

// write stores a record, and passes it to Options.Tell.
func (r *Responders) write(ctx context.Context, record *Record) {
	r.keep(ctx, record)
	r.opt.Tell(*record)
}

// keep adds a record to the recovery log.
func (r *Responders) keep(ctx context.Context, record *Record) {
	if err := r.log.put(ctx, record); err != nil {
		r.opt.Failed(fmt.Errorf("recovery log: %w", err))
	}
}

// save stores a ladder, if it has changed.
func (r *Responders) save(ctx context.Context, l *Ladder) {
	text, err := json.Marshal(l)
	if err == nil && r.saved[l.Monitor] != string(text) {
		err = r.stored.Replace(ctx, l.Monitor, *l)
	}
	if err != nil {
		r.opt.Failed(fmt.Errorf("store a ladder: %w", err))
		return
	}
	r.saved[l.Monitor] = string(text)
}

// forget removes a ladder.
func (r *Responders) forget(ctx context.Context, id string) {
	if err := r.stored.Drop(ctx, id); err != nil {
		r.opt.Failed(fmt.Errorf("delete a ladder: %w", err))
		return
	}
	delete(r.ladders, id)
	delete(r.saved, id)
}
