package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"portico/configs/store"
)

// failed tells what cannot be kept. That a store which is elsewhere cannot be reached is known.
func (r *Responders) failed(what string, err error) {
	if !errors.Is(err, store.ErrAway) {
		r.opt.Failed(fmt.Errorf("%s: %w", what, err))
	}
}

func (r *Responders) newRecord(action Action, c Case, requestor string, now time.Time) Record {
	k := kinds[action]
	return Record{ID: k.id, Resource: k.resource(c), Requestor: requestor, Monitor: c.Monitor, Start: now,
		Node: r.owner.Node, ProcessStart: r.owner.ProcessStart}
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

// write stores a record, and passes it to Options.Recorded. It says whether the record is stored.
func (r *Responders) write(ctx context.Context, record *Record) (stored bool) {
	stored = r.putRecord(ctx, record)
	r.opt.Recorded(*record)
	return stored
}

// putRecord adds a record to the recovery log.
func (r *Responders) putRecord(ctx context.Context, record *Record) (stored bool) {
	err := r.log.put(ctx, record)
	if err != nil {
		r.failed("recovery log", err)
	}
	return err == nil
}

// savedLadder is a ladder as the store has it.
type savedLadder struct {
	text     string
	revision uint64
}

// takeLadders takes in the ladders that another writer has changed. The caller holds acting.
func (r *Responders) takeLadders() {
	stored := make(map[string]bool)
	for _, item := range r.stored.All() {
		stored[item.Name] = true
		if r.saved[item.Name].revision == item.Revision {
			continue
		}
		l := item.Value
		if l.name() != item.Name {
			r.opt.Failed(fmt.Errorf("read stored ladder %s: it belongs to monitor %q", item.Name, l.Monitor))
			r.saved[item.Name] = savedLadder{revision: item.Revision}
			continue
		}
		text, _ := json.Marshal(l) // it was JSON
		if old := r.ladders[item.Name]; old != nil {
			l.wellBefore, l.looked, l.held, l.blamed = old.wellBefore, old.looked, old.held, old.blamed
		}
		r.ladders[item.Name], r.saved[item.Name] = &l, savedLadder{string(text), item.Revision}
	}
	for id, was := range r.saved {
		if was.revision != 0 && !stored[id] && r.stored.Item(id).Revision == 0 {
			delete(r.ladders, id)
			delete(r.saved, id)
		}
	}
}

// save stores a ladder, if it has changed. It returns false if another writer has changed it first: then the next look
// uses what that writer has stored. What a disk does not take is done all the same; what the store of a site does not
// take may have been done by another node, so then it returns false too.
func (r *Responders) save(ctx context.Context, l *Ladder) bool {
	name := l.name()
	if r.ladders[name] != l { // it has been replaced
		return false
	}
	text, err := json.Marshal(l)
	if err == nil && r.saved[name].text == string(text) {
		return true
	}
	item := r.stored.Item(name)
	if item.Err == nil { // else it is replaced as it is
		item.Revision = r.saved[name].revision
	}
	item.Value = *l
	if err == nil {
		item, err = r.stored.Put(ctx, item)
	}
	if errors.Is(err, store.ErrConflict) {
		r.refresh(ctx)
		return false
	}
	if err != nil {
		r.failed("store a ladder", err)
		return !r.shares(l.Case)
	}
	r.saved[name] = savedLadder{string(text), item.Revision}
	return true
}

// forget removes a ladder, unless another writer has changed it.
func (r *Responders) forget(ctx context.Context, id string) {
	err := r.stored.Remove(ctx, store.Item[Ladder]{Name: id, Revision: r.saved[id].revision})
	if errors.Is(err, store.ErrConflict) {
		r.refresh(ctx)
		return
	}
	if err != nil {
		r.failed("delete a ladder", err)
		return
	}
	delete(r.ladders, id)
	delete(r.saved, id)
}

// refresh reads the ladders after another writer was first; the next look takes them in.
func (r *Responders) refresh(ctx context.Context) {
	if err := r.stored.Refresh(ctx); err != nil {
		r.opt.Failed(fmt.Errorf("read the stored ladders: %w", err))
	}
}
