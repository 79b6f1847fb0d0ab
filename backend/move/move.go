package move

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portico/configs/store"
)

// ErrMeanwhile says that another writer of the store has changed the record; it comes with store.ErrConflict.
var ErrMeanwhile = errors.New("another writer of the store has changed that meanwhile")

// undoTime bounds the last change of a move that has failed. Run tries again later.
const undoTime = 5 * time.Second

// Move is a move of a thing by this process. The process is a member itself: the caller holds its sign-ins and ends its
// sessions between Close and Agree. A Move is for one goroutine.
type Move struct {
	t    *Table
	th   *thing
	item store.Item[Record] // as this move has read or stored it
}

// Begin waits until no move of the thing is in progress, also of other members, and takes its turn. End gives it back.
// The error is ErrMeanwhile if Run has yet to follow another writer.
func (t *Table) Begin(ctx context.Context, name string) (*Move, error) {
	for {
		th, err := t.take(ctx, name)
		if err != nil {
			return nil, err
		}
		item := t.Record(name)
		is, _, has := t.opt.State(name)
		switch {
		case t.waits(item.Value):
			t.give(th)
			if err := t.over(ctx, name); err != nil {
				return nil, err
			}
			continue
		case t.unknown(item) || item.Err != nil: // somebody has deleted or damaged it
			item.Value = is
		case has && !item.Value.Equal(is):
			t.give(th)
			return nil, fmt.Errorf("%w: %w", ErrMeanwhile, store.ErrConflict)
		}
		t.note(func() { th.acknowledged = 0 })
		t.opt.Members.forget(t.prefix + name)
		return &Move{t, th, item}, nil
	}
}

// over waits until no member is moving a thing any more.
func (t *Table) over(ctx context.Context, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, err := t.store.Watch(ctx, t.prefix+name)
	if err != nil {
		return err
	}
	nodes := t.opt.Members.changed(ctx)
	for t.waits(t.records.Item(name).Value) {
		open := true
		select {
		case _, open = <-changes:
		case <-nodes:
		}
		if !open {
			return ended(ctx)
		}
		if err := t.records.Refresh(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// ended is why a watch has ended.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return store.ErrClosed
}

// Record is the record as this move has read or stored it last.
func (m *Move) Record() Record { return m.item.Value }

// Close stores that the thing closes, to open at another place. Members hold its sign-ins and end its sessions from
// then on.
func (m *Move) Close(ctx context.Context, to string) error {
	if m.t.opt.Members == nil {
		return nil
	}
	is := m.item.Value
	return m.store(ctx, Record{Phase: Closing, At: is.At, To: to, Between: is.Between, By: m.t.opt.Members.name()})
}

// Agree waits until nobody is in at any other member. The error names those that are missing when ctx ends; it is an
// *AbsentError as soon as one of them is absent for longer than patience.
func (m *Move) Agree(ctx context.Context, patience time.Duration) error {
	members := m.t.opt.Members
	if members == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	key := m.t.prefix + m.item.Name
	record, err := m.t.store.Watch(ctx, key)
	if err != nil {
		return err
	}
	acks, done := members.hear()
	defer done()
	nodes := members.self.Changed(ctx)
	var missing []awaited
	for {
		now, err := m.t.set.Get(ctx, m.item.Name)
		switch {
		case err != nil:
			return err
		case now.Revision != m.item.Revision && len(missing) > 0: // they have waited for long enough
			return fmt.Errorf("%s may still have sessions: %w: %w", namesOf(missing), ErrMeanwhile, store.ErrConflict)
		case now.Revision != m.item.Revision:
			return fmt.Errorf("%w: %w", ErrMeanwhile, store.ErrConflict)
		}
		missing, err = members.missing(ctx, key, m.item.Revision)
		if err != nil || len(missing) == 0 {
			return err
		}
		next, err := members.gone(missing, patience)
		if err != nil {
			return err
		}
		var again <-chan time.Time
		if next > 0 {
			again = time.After(next)
		}
		for open, look := true, false; !look && len(missing) > 0; {
			select {
			case <-acks:
				missing = members.silent(missing, key, m.item.Revision)
				continue
			case _, open = <-record:
			case <-nodes:
			case <-again:
			}
			if look = true; !open {
				return fmt.Errorf("%s may still have sessions: %w", namesOf(missing), ended(ctx))
			}
		}
	}
}

// Suspend stores that nobody may be let in until the thing is open again, because a hook switches its storage between
// places. Other members hold sign-ins until the move is over, or its mover is gone. Agree must have been called.
func (m *Move) Suspend(ctx context.Context, between []string) error {
	is := m.item.Value
	return m.store(ctx, Record{Phase: Suspended, At: is.At, Between: slices.Clone(between), By: m.t.opt.Members.name()})
}

// Open stores that the thing is open at a place. Agree must have been called.
func (m *Move) Open(ctx context.Context, place string) error {
	return m.store(ctx, OpenAt(place))
}

// store stores a record if nobody else has changed it since this move has read or stored it.
func (m *Move) store(ctx context.Context, r Record) error {
	item := m.item
	item.Value = r
	item, err := m.t.put(ctx, item)
	switch {
	case err == nil:
		m.item = item
	case errors.Is(err, store.ErrConflict):
		err = fmt.Errorf("%w: %w", ErrMeanwhile, err)
	}
	return err
}

// Settle returns whether this process is to do what the move's last record says. If another writer has changed that,
// it is not: the thing's sign-ins stay held, and Run follows the other writer. If the move has failed, Settle stores
// so: a thing that closes is open again, and one whose hook has begun stays suspended. Nothing else may be called
// after it but End.
func (m *Move) Settle(ctx context.Context) (ours bool) {
	if m.item.Value.Moving() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		if err := m.store(ctx, m.item.Value.Before()); err != nil && !errors.Is(err, store.ErrConflict) {
			m.t.opt.Failed(err)
		}
	}
	now := m.t.records.Item(m.item.Name)
	ours = now.Revision == m.item.Revision && m.item.Value.Phase != Closing
	m.t.note(func() { m.th.empty = m.th.empty && !ours }) // people are let in now
	return ours
}

// End gives the thing's turn back.
func (m *Move) End() { m.t.give(m.th) }
