package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"portico/configs/store"
)

// Record is an entry of the recovery log: an action that was done, or why it was not. Its fields are those of
// Exchange's RecoveryActionResults (docs/exchange.md).
type Record struct {
	Instance    uint64    `json:"instance_id"` // of all records, in order
	ID          string    `json:"id"`          // RestartService, ServerFailover ...
	Resource    string    `json:"resource_name"`
	Requestor   string    `json:"requestor_name"` // the responder, or who has asked by hand
	Monitor     string    `json:"monitor,omitempty"`
	Start       time.Time `json:"start_time"`
	End         time.Time `json:"end_time,omitzero"`
	State       State     `json:"state"`
	Result      Result    `json:"result,omitempty"`
	Message     string    `json:"context,omitempty"`           // what was done, or why it was not
	Exception   string    `json:"exception_message,omitempty"` // what went wrong
	Throttle    string    `json:"throttle_parameters,omitempty"`
	ThrottledBy string    `json:"throttle_identity,omitempty"` // the action and its resource
	// when the throttle allows the action again; zero if it was not throttled, or never
	AllowedAgain time.Time `json:"allowed_again,omitzero"`
	// why a throttle forbids what was done all the same, since users were out
	Excess       string    `json:"beyond_throttle,omitempty"`
	ProcessStart time.Time `json:"lam_process_start_time"` // of the process that did it
	Node         string    `json:"node,omitempty"`         // of that process; "" in records of earlier versions
}

// State says how far an action is.
type State string

// The states.
const (
	Started  State = "Started"
	Finished State = "Finished"
)

// Result is the outcome of an action.
type Result string

// The results.
const (
	ResultSucceeded   Result = "Succeeded"
	ResultFailed      Result = "Failed"
	ResultIncomplete  Result = "Incomplete"  // some of it was done: other databases stayed
	ResultSkipped     Result = "Skipped"     // there was nothing to do, or it may not be done
	ResultThrottled   Result = "Throttled"   // it was done too often
	ResultDryRun      Result = "DryRun"      // it would have been done
	ResultInterrupted Result = "Interrupted" // the process ended meanwhile; it may have been done
)

// attempted says whether a record counts for throttling.
func (r Record) attempted() bool {
	switch r.Result {
	case ResultSkipped, ResultThrottled:
		return false
	}
	return true
}

// maxRecords is how many entries the recovery log keeps: more than throttling can ever ask for.
const maxRecords = 1000

// storedLog is where the store keeps the recovery log, an entry for each.
const storedLog = "health/recovery/log/"

// logName is the name of a record's entry, so that they are in order.
func logName(instance uint64) string { return fmt.Sprintf("%016d", instance) }

// Log is the recovery log, of all writers of the store. Its methods are safe for concurrent use.
type Log struct {
	stored *store.Mirror[Record] // by logName

	putting sync.Mutex // one put at a time; taken before mu

	mu      sync.Mutex // guards what follows
	records []Record   // the oldest first; never changed in place
	started []Record   // those of them in the state Started; never changed in place
	unsaved map[uint64]Record
	last    uint64
}

// openLog reads the stored records. What cannot be read is passed over, and goes with time.
func openLog(ctx context.Context, s store.Store) (*Log, error) {
	l := &Log{unsaved: make(map[uint64]Record)}
	set := store.SetOf[Record](s, storedLog)
	items, err := set.List(ctx)
	if err == nil {
		l.stored, err = store.NewMirror(ctx, set, store.MirrorOptions{Changed: l.take})
	}
	if err != nil {
		return nil, fmt.Errorf("recovery log: %w", err)
	}
	for _, item := range items {
		if n, err := strconv.ParseUint(item.Name, 10, 64); err == nil {
			l.last = max(l.last, n)
		}
	}
	l.take()
	return l, nil
}

// take makes the records those of the store, with what could not be stored.
func (l *Log) take() {
	items := l.stored.All()
	l.mu.Lock()
	defer l.mu.Unlock()
	records := make([]Record, 0, len(items)+len(l.unsaved))
	for _, item := range items {
		if _, newer := l.unsaved[item.Value.Instance]; !newer {
			records = append(records, item.Value)
		}
	}
	if len(l.unsaved) > 0 {
		records = slices.AppendSeq(records, maps.Values(l.unsaved))
		slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.Instance, b.Instance) })
	}
	l.records, l.started = records[max(len(records)-maxRecords, 0):], nil
	for _, r := range l.records {
		if r.State == Started {
			l.started = append(l.started, r)
		}
	}
	if n := len(records); n > 0 {
		l.last = max(l.last, records[n-1].Instance)
	}
}

// Records lists all entries, the oldest first.
func (l *Log) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// Started lists the entries of steps that are not over, the oldest first. It is asked every second, so it copies none:
// the caller must not change it.
func (l *Log) Started() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

// put writes a record; one without a number is new. On an error of the disk, the record is in memory only.
func (l *Log) put(ctx context.Context, r *Record) error {
	l.putting.Lock()
	defer l.putting.Unlock()
	err := l.store(ctx, r)
	l.mu.Lock()
	_, unsaved := l.unsaved[r.Instance]
	if err != nil {
		l.unsaved[r.Instance] = *r
		if len(l.unsaved) > maxRecords {
			delete(l.unsaved, slices.Min(slices.Collect(maps.Keys(l.unsaved))))
		}
	} else {
		delete(l.unsaved, r.Instance)
	}
	l.mu.Unlock()
	if err != nil || unsaved { // otherwise the mirror has called take
		l.stored.Tell()
	}
	if more := l.stored.Len() - maxRecords; more > 0 {
		items := l.stored.All()
		for _, old := range items[:min(more, len(items))] {
			l.stored.Remove(ctx, old) // else it goes at another time
		}
	}
	return err
}

// store is put without what follows. If another writer has taken the next number, the record gets the one after that.
func (l *Log) store(ctx context.Context, r *Record) error {
	isNew := r.Instance == 0
	for {
		var item store.Item[Record] // a new record replaces none, even one that another writer has just stored
		if isNew {
			r.Instance = l.next()
			item.Name = logName(r.Instance)
		} else {
			item = l.stored.Item(logName(r.Instance))
		}
		item.Value = *r
		_, err := l.stored.Put(ctx, item)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := l.stored.Refresh(ctx); err != nil {
			return err
		}
	}
}

// refresh takes in what other writers have stored by now.
func (l *Log) refresh(ctx context.Context, failed func(error)) {
	if err := l.stored.Refresh(ctx); err != nil {
		failed(fmt.Errorf("read the recovery log: %w", err))
	}
}

func (l *Log) next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return l.last
}

// drop removes a record that repeats another one.
func (l *Log) drop(ctx context.Context, instance uint64) {
	l.mu.Lock()
	delete(l.unsaved, instance)
	l.mu.Unlock()
	l.stored.Remove(ctx, l.stored.Item(logName(instance))) // else it goes with time
	l.stored.Tell()
}

// find returns a record by its number.
func (l *Log) find(instance uint64) (Record, bool) {
	return l.latest(func(r *Record) bool { return r.Instance == instance })
}

// latest returns the last record that is wanted.
func (l *Log) latest(wanted func(*Record) bool) (Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.records) - 1; i >= 0; i-- {
		if wanted(&l.records[i]) {
			return l.records[i], true
		}
	}
	return Record{}, false
}
