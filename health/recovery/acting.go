package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portico/configs/store"
	"portico/health"
)

// Site is how the nodes of a site share recovery of mailbox servers. What concerns a node's own front end stays its
// own.
type Site struct {
	// Leads says whether this node is the one that looks after mailbox servers. That only saves work: two nodes that
	// take themselves for it do no step twice.
	Leads func() bool
	// Resign has another node look after them. It must not block.
	Resign func()
	// Against names the nodes that do not see the target of an unhealthy monitor failing, unless most of those that
	// look at it do.
	Against func(m health.MonitorState) (nodes []string)
}

// storedActing is where the store keeps which process acts on mailbox servers: one of a site at a time. Whoever creates
// the entry is that process, until it removes the entry or leaves it unchanged for longer than StepTime.
const (
	storedIn     = "health/recovery/"
	storedActing = "acting"
)

// acting is that process.
type acting struct {
	Owner
	Instance uint64 `json:"instance_id,omitempty"` // the record of its step; 0 until one begins
}

// errActing says that another node has the entry.
var errActing = errors.New("another node acts on a mailbox server at present")

// turns is what this process knows of the entry. Responders.acting guards it.
type turns struct {
	stored store.Set[acting]  // has the one entry
	ours   store.Item[acting] // as we have written it; revision 0 if we have not
	until  time.Time          // others leave it alone until then
	other  uint64             // the revision of another node's entry
	since  time.Time          // when this process has seen that first; its own clock counts, because clocks may differ
}

// claim makes this process the one that acts, so that it may do something about a ladder, until endTurn. It returns
// false if that is another one, if the store fails, or if the ladder is not as it was: then the next look goes by what
// is stored. What was found out before may be of yesterday: whoever acts runs the probe after claim.
func (r *Responders) claim(ctx context.Context, l *Ladder) bool {
	if !r.shares(l.Case) {
		return true
	}
	if err := r.take(ctx); err != nil {
		if !errors.Is(err, errActing) {
			l.Note = "the store of the site fails, so no step begins"
			l.ForPeople = l.ForPeople || r.opt.Now().Sub(l.Since) > r.plan().Wait
			r.failed("take the turn", err)
		}
		return false
	}
	return r.ladders[l.name()] == l
}

// shares says whether a case is one of the whole site.
func (r *Responders) shares(c Case) bool { return r.opt.Site != nil && c.Server != "" }

// sharesAction says whether an action by hand is the whole site's.
func (r *Responders) sharesAction(action Action) bool {
	return r.opt.Site != nil && kinds[action].onServer
}

// take is claim without a ladder. The error is errActing, or the store's.
func (r *Responders) take(ctx context.Context) error {
	if r.turns.ours.Revision != 0 && r.opt.Now().Before(r.turns.until) {
		return nil
	}
	until := r.opt.Now().Add(StepTime) // from before others can see it
	item, err := r.turns.stored.Get(ctx, storedActing)
	if err != nil {
		return fmt.Errorf("read which node acts: %w", err)
	}
	if r.taken(item) {
		return errActing
	}
	before := item.Value.Owner
	item.Value = acting{Owner: r.owner}
	if err := r.put(ctx, item, until); err != nil {
		return err
	}
	if err := r.stored.Refresh(ctx); err != nil {
		return fmt.Errorf("read the stored ladders: %w", err)
	}
	r.takeLadders()
	r.log.refresh(ctx, r.opt.Failed)
	r.interruptAll(ctx, before)
	return nil
}

// put writes the entry.
func (r *Responders) put(ctx context.Context, item store.Item[acting], until time.Time) error {
	r.turns.ours = store.Item[acting]{}
	item, err := r.turns.stored.Put(ctx, item)
	if errors.Is(err, store.ErrConflict) {
		return errActing
	}
	if err != nil {
		return fmt.Errorf("store which node acts: %w", err)
	}
	r.turns.ours, r.turns.until = item, until
	return nil
}

// taken says whether another node may be acting. One whose entry has not changed for StepTime is not: its step has
// ended by then, or never began.
func (r *Responders) taken(item store.Item[acting]) bool {
	t := &r.turns
	if item.Revision == 0 || item.Err == nil && item.Value.Node == r.owner.Node {
		t.other = 0
		return false
	}
	if t.other != item.Revision {
		t.other, t.since = item.Revision, r.opt.Now()
	}
	return r.opt.Now().Sub(t.since) < StepTime
}

// busy says whether another node acts.
func (r *Responders) busy(ctx context.Context) bool {
	item, err := r.turns.stored.Get(ctx, storedActing)
	return err != nil || r.taken(item)
}

// confirm begins a step: it writes the step's record into the entry, if that is still ours. Of two processes that both
// take themselves for the one that acts, one fails here. From now on, others wait for StepTime.
func (r *Responders) confirm(ctx context.Context, record Record) error {
	until := r.opt.Now().Add(StepTime)
	if r.turns.ours.Revision == 0 {
		return errActing
	}
	item := r.turns.ours
	item.Value.Instance = record.Instance
	return r.put(ctx, item, until)
}

// stepTime is how long a step may take from now on.
func (r *Responders) stepTime() time.Duration {
	if r.turns.ours.Revision == 0 {
		return StepTime
	}
	return min(r.turns.until.Sub(r.opt.Now()), StepTime)
}

// keepTurn leaves the entry in the store, because the step was cut off: others wait until it is over.
func (r *Responders) keepTurn() { r.turns.ours = store.Item[acting]{} }

// giveTurn lets other nodes act.
func (r *Responders) giveTurn() {
	if r.turns.ours.Revision == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), giveTime)
	defer cancel()
	if err := r.turns.stored.Remove(ctx, r.turns.ours); err != nil && !errors.Is(err, store.ErrConflict) {
		r.failed("let other nodes act", err) // they can after StepTime
	}
	r.turns.ours = store.Item[acting]{}
}

// giveTime bounds the removal of the entry.
const giveTime = 10 * time.Second
