package move

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"portico/configs/store"
)

// AbandonTime is how long a thing may close, as far as one member's clock shows, before that member takes the mover for
// gone and opens the thing again where it was.
const AbandonTime = 90 * time.Second

// Options of a table.
type Options struct {
	// State returns the record by which this process lets people in to a thing, and whether it holds them; has is false
	// if it does not have the thing. It is called with the table locked, and must not call the table. Locks are taken
	// in this order: the table's, then those of whoever has the thing.
	State func(name string) (r Record, held, has bool)
	// Optional says that a thing need not have a record: without one it is open at "", where something else decides.
	// Such a record is not stored.
	Optional bool
	// Partial says that a move concerns only some of the people, who depend on both places: End lets the others stay.
	Partial bool
	// Members have to agree. Nil says that only this process lets people in: nobody is asked, and records never close.
	Members *Members
	Changed func()      // called after each change of a record; it may be nil
	Failed  func(error) // told what cannot be read or stored; it may be nil
}

// Table is the things of one kind. It is safe for concurrent use.
type Table struct {
	prefix  string // of the records' keys
	store   store.Store
	set     store.Set[Record]
	records *store.Mirror[Record] // of set; changes go past it, since one that hangs must not keep it from following
	opt     Options
	abandon time.Duration // AbandonTime
	behind  chan struct{} // holds a token while Run has to look

	lookAtAll atomic.Bool // Run has to look at all things that have a record

	mu     sync.Mutex
	look   map[string]struct{} // the things that Run has to look at
	things map[string]*thing   // by name; those of which nothing has to be known are not here
}

// thing is what this process does about one thing.
type thing struct {
	name string
	turn chan struct{} // has a token while the thing is moved or followed here
	used int           // by how many goroutines, which have the turn or wait for it

	// The holder of the turn alone changes these, with the table's mutex.
	left         [2]string // Partial: At and To of the record whose people have left
	empty        bool      // nobody is in, and nobody was let in since that was found
	acknowledged uint64    // the revision of the closing record that was acknowledged; 0 once that is over
	boot         string    // of the registration by which it was
	since        time.Time // when it was acknowledged

	following bool   // Run follows it just now
	at        uint64 // the revision of the record that Run follows
	stop      func() // breaks off waiting for people to leave, because the record has changed; nil if nobody waits
}

// NewTable reads the records below a prefix.
func NewTable(ctx context.Context, s store.Store, prefix string, o Options) (*Table, error) {
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	t := &Table{prefix: prefix, store: s, set: Records(s, prefix), opt: o, abandon: AbandonTime,
		behind: make(chan struct{}, 1), look: make(map[string]struct{}), things: make(map[string]*thing)}
	var err error
	t.records, err = store.NewMirror(ctx, t.set, store.MirrorOptions{Names: t.changed, Failed: o.Failed})
	if err == nil {
		t.Wake()
	}
	return t, err
}

// Record returns a thing's record as this process has read it last; its revision is 0 if there is none. A member begins
// with this: it lets people in at an open record's place, and holds them while it closes.
func (t *Table) Record(name string) store.Item[Record] {
	item := t.records.Item(name)
	if item.Revision == 0 && t.opt.Optional {
		item.Value = OpenAt("")
	}
	return item
}

// All returns the records that are stored and can be read, sorted by name.
func (t *Table) All() []store.Item[Record] { return t.records.All() }

// Len is the number of records that are stored.
func (t *Table) Len() int { return t.records.Len() }

// Refresh reads the records now, and not only after the next change.
func (t *Table) Refresh(ctx context.Context) error { return t.records.Refresh(ctx) }

// Create stores the first record of a thing. The error is store.ErrConflict if it has one.
func (t *Table) Create(ctx context.Context, name, place string) (store.Item[Record], error) {
	return t.put(ctx, store.Item[Record]{Name: name, Value: OpenAt(place)})
}

// Remove deletes a record that Create has stored and that has not changed since.
func (t *Table) Remove(ctx context.Context, item store.Item[Record]) error {
	err := t.set.Remove(ctx, item)
	if err == nil {
		err = t.records.Refresh(ctx, item.Name)
	}
	return err
}

// put stores a record if it has not changed since item was read, and returns it with its new revision. An error other
// than store.ErrConflict may come after the record was stored.
func (t *Table) put(ctx context.Context, item store.Item[Record]) (store.Item[Record], error) {
	var err error
	if t.opt.Optional && item.Value.Equal(OpenAt("")) {
		if err = t.set.Remove(ctx, item); err == nil {
			item.Revision = 0
		}
	} else {
		item, err = t.set.Put(ctx, item)
	}
	if err == nil || errors.Is(err, store.ErrConflict) {
		err = errors.Join(err, t.records.Refresh(context.WithoutCancel(ctx), item.Name)) // from memory
	}
	return item, err
}

// Wake has Run compare what the member does with all records, after a change of the member's things.
func (t *Table) Wake() {
	t.lookAtAll.Store(true)
	t.signal()
}

// wake has Run look at things.
func (t *Table) wake(names ...string) {
	t.mu.Lock()
	for _, name := range names {
		t.look[name] = struct{}{}
	}
	t.mu.Unlock()
	t.signal()
}

func (t *Table) signal() {
	select {
	case t.behind <- struct{}{}:
	default:
	}
}

// changed wakes Run, and whoever waits for people to leave because of an earlier record.
func (t *Table) changed(names []string) {
	t.mu.Lock()
	for _, name := range names {
		if th := t.things[name]; th != nil && th.stop != nil && t.records.Item(name).Revision != th.at {
			th.stop()
		}
	}
	t.mu.Unlock()
	t.wake(names...)
	t.opt.Changed()
}

// thing returns what is known of a thing. The caller holds mu.
func (t *Table) thing(name string) *thing {
	th := t.things[name]
	if th == nil {
		th = &thing{name: name, turn: make(chan struct{}, 1)}
		t.things[name] = th
	}
	return th
}

// forget drops a thing of which nothing has to be known. The caller holds mu.
func (t *Table) forget(th *thing) {
	if th.used == 0 && !th.following && !th.empty && th.acknowledged == 0 {
		delete(t.things, th.name)
	}
}

// take waits until no other goroutine moves or follows a thing. Whoever has taken its turn must give it back.
func (t *Table) take(ctx context.Context, name string) (*thing, error) {
	t.mu.Lock()
	th := t.thing(name)
	th.used++
	t.mu.Unlock()
	select {
	case th.turn <- struct{}{}:
		return th, nil
	case <-ctx.Done():
		t.leave(th)
		return nil, context.Cause(ctx)
	}
}

// give gives a turn back.
func (t *Table) give(th *thing) {
	<-th.turn
	t.leave(th)
	t.wake(th.name)
}

// leave ends what take has begun.
func (t *Table) leave(th *thing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	th.used--
	t.forget(th)
}

// Idle waits until no move of a thing is in progress in this process.
func (t *Table) Idle(ctx context.Context, name string) error {
	th, err := t.take(ctx, name)
	if err == nil {
		t.give(th)
	}
	return err
}

// note changes what is known of a thing. The caller has its turn.
func (t *Table) note(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// undo stores that a move is over that has failed: the thing opens where it was, or stays suspended.
func (t *Table) undo(ctx context.Context, item store.Item[Record]) error {
	item.Value = item.Value.Before()
	if _, err := t.put(ctx, item); err != nil {
		return fmt.Errorf("%s%s moves no more, and that cannot be stored: %w", t.prefix, item.Name, err)
	}
	return nil
}
