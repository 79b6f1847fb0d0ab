package move

import (
	"context"
	"fmt"
	"sync"
	"time"

	"portico/configs/store"
	"portico/sleep"
)

// Member lets people in to things, and is told where. The calls for one thing never overlap.
type Member interface {
	// Hold holds new sign-ins because of a record, and does not wait.
	Hold(name string, because Record)
	// End ends all sessions, and returns when nobody is in and no sign-in is in progress. Its error is that of ctx. It
	// is also called for a thing that this member does not have.
	End(ctx context.Context, name string) error
	// Admit lets people in from now on as a record says, which is open or suspended.
	Admit(name string, by Record)
}

// Run does as a member what the records say, until ctx ends or the store closes. It does not follow moves of this
// process: their caller does the member's work.
func (t *Table) Run(ctx context.Context, m Member) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { t.records.Run(ctx) })
	nodes := t.opt.Members.changed(ctx)
	for {
		for _, name := range t.due() {
			group.Go(func() { t.follow(ctx, name, m) })
		}
		select {
		case <-ctx.Done():
			return
		case <-t.behind:
		case <-nodes: // this one has registered again, or a mover is gone
			t.wake(t.moving()...)
		}
	}
}

// moving lists the things that members are moving. What a member does with others does not depend on who is there.
func (t *Table) moving() (names []string) {
	for _, item := range t.records.All() {
		if item.Value.Moving() {
			names = append(names, item.Name)
		}
	}
	return names
}

// due lists the things that have to be followed, and marks them as being followed.
func (t *Table) due() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lookAtAll.Swap(false) {
		for _, item := range t.records.All() {
			t.look[item.Name] = struct{}{}
		}
	}
	for name := range t.look {
		th, item := t.things[name], t.Record(name)
		if th == nil {
			th = &thing{}
		}
		if th.following || item.Err != nil || !t.differs(item, th) {
			continue
		}
		t.thing(name).following = true
		names = append(names, name)
	}
	clear(t.look)
	return names
}

// differs says whether a member does something else than a record says. The caller holds mu.
func (t *Table) differs(item store.Item[Record], th *thing) bool {
	if t.unknown(item) {
		return false
	}
	if item.Value.Phase == Closing {
		return !t.hasAcknowledged(item, th) || time.Since(th.since) >= t.abandon
	}
	is, held, has := t.opt.State(item.Name)
	if t.waits(item.Value) {
		return has && !held
	}
	return t.unfinished(item.Value) || th.acknowledged != 0 || held || has && !item.Value.Equal(is)
}

// waits says whether people are held because a member is moving a thing: it closes, or another member that is present
// has its hook at work.
func (t *Table) waits(r Record) bool {
	return r.Phase == Closing || r.Moving() && t.opt.Members.present(r.By)
}

// unfinished says whether a move of this member has left a thing suspended without storing that it has failed.
func (t *Table) unfinished(r Record) bool {
	return r.Phase == Suspended && r.Moving() && r.By == t.opt.Members.name()
}

// hasAcknowledged says whether this member has acknowledged a record that closes, as it is registered now.
func (t *Table) hasAcknowledged(item store.Item[Record], th *thing) bool {
	return t.opt.Members != nil && th.acknowledged == item.Revision && th.boot == t.opt.Members.self.Boot()
}

// unknown says that nothing is stored of a thing, so that nothing is known of where it should be open.
func (t *Table) unknown(item store.Item[Record]) bool { return item.Revision == 0 && !t.opt.Optional }

// follow does what a record says. If that fails, it is tried again.
func (t *Table) follow(ctx context.Context, name string, m Member) {
	th, err := t.take(ctx, name)
	if err != nil {
		return
	}
	switch item := t.Record(name); {
	case t.unfinished(item.Value):
		err = t.undo(ctx, item)
	case item.Value.Phase == Closing:
		err = t.close(ctx, item, th, m)
	case t.waits(item.Value):
		t.hold(ctx, item, th, m)
	default:
		t.open(ctx, item, th, m)
	}
	t.give(th)
	if err != nil && ctx.Err() == nil {
		t.opt.Failed(err)
		sleep.For(ctx, retryTime)
	}
	t.note(func() {
		th.following = false
		t.forget(th)
	})
	t.wake(name)
}

// close holds a thing's sign-ins, ends its sessions and acknowledges that. The caller has the turn.
func (t *Table) close(ctx context.Context, item store.Item[Record], th *thing, m Member) error {
	members := t.opt.Members
	if members == nil || item.Value.By == members.self.Name() { // by an earlier process, or by a move that has failed
		return t.undo(ctx, item)
	}
	if t.hasAcknowledged(item, th) {
		if time.Since(th.since) < t.abandon {
			return nil
		}
		return t.undo(ctx, item)
	}
	if !t.hold(ctx, item, th, m) {
		return nil
	}
	key := t.prefix + item.Name
	boot, err := members.acknowledge(ctx, key, item.Revision)
	if err != nil {
		return fmt.Errorf("acknowledge that %s closes: %w", key, err)
	}
	t.note(func() { th.acknowledged, th.boot, th.since = item.Revision, boot, time.Now() })
	time.AfterFunc(t.abandon, func() { t.wake(item.Name) })
	return nil
}

// hold holds a thing's sign-ins and ends its sessions. It returns false if the record changes before that is done. The
// caller has the turn.
func (t *Table) hold(ctx context.Context, item store.Item[Record], th *thing, m Member) bool {
	if _, _, has := t.opt.State(item.Name); has {
		m.Hold(item.Name, item.Value)
	}
	return t.end(ctx, item, th, m)
}

// open lets people in as a record says. The caller has the turn.
func (t *Table) open(ctx context.Context, item store.Item[Record], th *thing, m Member) {
	r := item.Value
	is, held, has := t.opt.State(item.Name)
	stays := r.Phase == Open && is.Phase == Open && r.At == is.At
	switch {
	case t.unknown(item) || has && !held && th.acknowledged == 0 && r.Equal(is):
		return // nothing is stored any more, or a move here was first
	case has && !stays && !t.isEmpty(th, r):
		m.Hold(item.Name, r)
		if !t.end(ctx, item, th, m) {
			return
		}
	}
	if has {
		m.Admit(item.Name, r)
	}
	t.note(func() { th.empty, th.acknowledged = th.empty && r.Phase != Open, 0 })
	t.opt.Members.forget(t.prefix + item.Name)
}

// isEmpty says whether nobody is in whom a record concerns.
func (t *Table) isEmpty(th *thing, r Record) bool {
	return th.empty && (!t.opt.Partial || th.left == [2]string{r.At, r.To})
}

// end has everybody leave a thing, unless nobody is in. It returns false if the record changes before that is done.
func (t *Table) end(ctx context.Context, item store.Item[Record], th *thing, m Member) bool {
	if t.isEmpty(th, item.Value) {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.note(func() { th.at, th.stop = item.Revision, cancel })
	if t.records.Item(item.Name).Revision != item.Revision { // before that
		cancel()
	}
	err := m.End(ctx, item.Name)
	t.note(func() {
		th.stop = nil
		th.empty, th.left = err == nil, [2]string{item.Value.At, item.Value.To}
	})
	return err == nil
}
