package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
)

// Mode says whether anything is done.
type Mode string

// The modes.
const (
	Act    Mode = "act"
	DryRun Mode = "dry_run" // it is written down what would be done
	Off    Mode = "off"     // people are told at once
)

// Plan is what is to be done when.
type Plan struct {
	Mode          Mode
	Wait          time.Duration       // from a step to the next
	CommonPercent int                 // the share of a monitor's targets whose common failure has a cause in common
	Ladders       map[string][]Action // by the monitor's name
	Throttles     map[Action]Throttle // one that is not there allows nothing
}

// Options is what Responders are built from.
type Options struct {
	// Monitors returns all monitors. It returns nil while recovery must not act.
	Monitors func() []health.MonitorState
	// Off reports whether recovery must not act on a mailbox server. If nil, recovery acts on every server.
	Off func(server string) bool
	// Active returns the mailbox server on which a database is active, or "".
	Active func(database string) (server string)
	// Verify runs a monitor's probe once. It returns nil if the probe cannot run.
	Verify func(ctx context.Context, m health.MonitorState) *health.Result
	// Standby returns, by database, the mailbox server to which a failover of a case would move it now. The server
	// answers. Recovery's blocks of the servers in lifted do not count. If nil, recovery knows no such server.
	Standby func(ctx context.Context, c Case, lifted []string) (servers map[string]string)
	// Blocked reports whether recovery's block of a mailbox server exists: somebody else may have lifted it. If nil,
	// each block that recovery has set exists.
	Blocked func(server string) bool
	// InUse reports whether a database is active on a mailbox server, so that users have no access if it fails. If
	// nil, every server is in use.
	InUse func(server string) bool
	// Users reports whether the latest users' sign-ins to a mailbox server have succeeded, and whether some fail
	// between others that succeed. If nil, recovery knows nothing of users' sign-ins.
	Users func(server string) (well, mixed bool)
	// Read reads the mail of a database's copy on a mailbox server, active or not. If nil, recovery takes every copy
	// for readable.
	Read     func(ctx context.Context, database, server string) error
	Actors   map[Action]Actor
	Site     *Site            // nil: this Portico is alone
	Node     string           // this node's name; no other writer of the store has it
	Store    store.Store      // keeps log and ladders
	Now      func() time.Time // default time.Now
	Recorded func(Record)     // called for each entry of the recovery log; it must not block
	Failed   func(error)      // called for what cannot be kept
	// Follow has the probe of a monitor repeated quickly until it succeeds or the time has come: its target was
	// restarted. It must not block.
	Follow func(monitor string, until time.Time)
	// Helped receives each failover, each stop of a canary, and the step after which a monitor was healthy before
	// people were told. It must not block.
	Helped func(Record)
}

// Responders act where monitors stay unhealthy. All but Run may be called from anywhere.
type Responders struct {
	opt    Options
	owner  Owner // this process
	log    *Log
	stored *store.Mirror[Ladder] // by Case.name

	acting  chan struct{}          // held by whoever acts, so that one acts at a time; taken before mu, see turn
	ladders map[string]*Ladder     // by Case.name; acting guards the map and the ladders
	saved   map[string]savedLadder // what the store has of each ladder; acting guards it
	turns   turns                  // which node acts; acting guards it
	leads   bool                   // this node looks after mailbox servers, and no other one acts; acting guards it
	// disputed has the mailbox servers of which most other nodes see the contrary, by the last look; acting guards it
	disputed map[string]dispute

	mu        sync.Mutex // guards what follows
	current   Plan
	shown     []Ladder        // copies
	forPeople map[string]bool // monitors that are for people
	paused    bool            // nothing may be done
}

// storedLadders is where the store keeps ladders, by Case.name.
const storedLadders = "health/recovery/ladders/"

// New returns responders that go on where those of an earlier process have ended. They do nothing before Run.
func New(ctx context.Context, o Options) (*Responders, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Recorded == nil {
		o.Recorded = func(Record) {}
	}
	if o.Helped == nil {
		o.Helped = func(Record) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Follow == nil {
		o.Follow = func(string, time.Time) {}
	}
	log, err := openLog(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	r := &Responders{
		opt: o, owner: Owner{o.Node, o.Now()}, log: log, acting: make(chan struct{}, 1), current: Plan{Mode: Off},
		ladders: make(map[string]*Ladder), saved: make(map[string]savedLadder),
		turns: turns{stored: store.SetOf[acting](o.Store, storedIn)},
	}
	r.stored, err = store.NewMirror(ctx, store.SetOf[Ladder](o.Store, storedLadders), store.MirrorOptions{
		Failed: func(err error) { r.opt.Failed(fmt.Errorf("read stored ladder: %w", err)) },
	})
	if err != nil {
		return nil, fmt.Errorf("recovery: %w", err)
	}
	r.takeLadders()
	begun := r.begunSteps()
	for _, record := range log.Records() {
		if record.State == Started && !begun[record.Instance] && !r.isForeign(record.owner()) {
			r.interrupt(ctx, record.Instance)
		}
	}
	r.show(nil, false)
	return r, nil
}

// Use puts a plan in force.
func (r *Responders) Use(p Plan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = p
}

func (r *Responders) plan() Plan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// lookEach is how often the monitors are looked at.
const lookEach = 2 * time.Second

// Run looks and acts until the context ends.
func (r *Responders) Run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { r.log.stored.Run(ctx) })
	following.Go(func() { r.stored.Run(ctx) })
	ticker := time.NewTicker(lookEach)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.look(ctx)
		}
	}
}

// look goes through all monitors once.
func (r *Responders) look(ctx context.Context) {
	if r.turn(ctx) != nil {
		return
	}
	defer r.endTurn()
	r.takeLadders()
	plan := r.plan()
	all := recoverable(r.opt.Monitors(), plan)
	s := snapshot{all: all, active: r.opt.Active, percent: plan.CommonPercent}
	r.lead(ctx, all != nil)
	for _, l := range r.ladders {
		if r.mine(l.Case) && l.Begun == 0 && !r.blocked(l.Server) { // an operator has lifted it
			r.dropBlock(ctx, l)
		}
	}
	if all != nil && plan.Mode == Off { // what was done before it was switched off is not left behind
		for _, id := range slices.Collect(maps.Keys(r.ladders)) {
			if l := r.ladders[id]; l != nil && r.mine(l.Case) && r.release(ctx, l, s) {
				r.forget(ctx, id)
			}
		}
	}
	if all == nil || plan.Mode == Off {
		r.show(nil, true)
		return
	}
	leads := s.leaders()
	monitors := make(map[string]health.MonitorState)
	forPeople, off, done := make(map[string]bool), make(map[string]bool), false
	disputed := r.disputes(ctx, s)
	for _, m := range all {
		monitors[m.ID()] = m
		if r.off(m) {
			off[m.ID()], forPeople[m.ID()] = true, true
			continue
		}
		if !disputed[m.ID()] {
			r.begin(m, s)
		}
		forPeople[m.ID()] = r.overlooked(m)
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.ladders), func(a, b string) int { return compareRank(a, b) }) {
		l := r.ladders[id]
		if l == nil || l.Node != "" && !r.mine(l.Case) { // it is gone, or of another node's front end
			continue
		}
		m, known := monitors[l.Monitor]
		switch {
		case r.left(l):
			r.leave(ctx, id, l, s)
			continue
		case off[l.Monitor]: // recovery of its server is off: the ladder stays as it is
			continue
		case !r.mine(l.Case): // the leader stores how it goes on
		case disputed[l.Monitor] && l.Server != "": // another leader goes on
		case r.strays(l, m, s):
			r.forget(ctx, id)
			continue
		case !known, m.Well(), m.Value == health.Disabled:
			r.endFault(ctx, l, m)
			if r.release(ctx, l, s) {
				r.forget(ctx, id)
				continue
			}
		case m.Value == health.Unhealthy && !done: // what was done may have changed what the others look at
			done = r.visit(ctx, l, m, s, leads)
			r.save(ctx, l)
		}
		forPeople[l.Monitor] = forPeople[l.Monitor] || l.ForPeople
	}
	r.show(forPeople, false)
}

// off says whether nothing may be done about the mailbox server that a monitor looks at.
func (r *Responders) off(m health.MonitorState) bool {
	if r.opt.Off == nil {
		return false
	}
	server := health.ServerOf(m, r.opt.Active)
	return server != "" && r.opt.Off(server)
}

// recoverable returns the monitors that have a ladder. The others are for people alone, and wait for nobody.
func recoverable(all []health.MonitorState, of Plan) []health.MonitorState {
	if all == nil {
		return nil
	}
	found := []health.MonitorState{}
	for _, m := range all {
		if _, ok := of.Ladders[m.Name]; ok {
			found = append(found, m)
		}
	}
	return found
}

func compareRank(a, b string) int {
	if n := catalogue.Of(nameOf(a)).Rank - catalogue.Of(nameOf(b)).Rank; n != 0 {
		return n
	}
	return strings.Compare(a, b)
}

// nameOf is the monitor's name in its identity.
func nameOf(id string) string {
	_, name, _ := strings.Cut(id, "/")
	name, _, _ = strings.Cut(name, "/")
	return name
}

// begin begins the ladder of a monitor that is unhealthy. One that only keeps what is to be taken back begins again.
func (r *Responders) begin(m health.MonitorState, s snapshot) {
	if m.Value != health.Unhealthy {
		return
	}
	c := r.caseOf(m, s)
	if site := r.ladders[m.ID()]; !r.mine(c) || c.Node != "" && site != nil && !site.Since.IsZero() {
		return
	}
	switch l := r.ladders[c.name()]; {
	case l == nil:
		r.ladders[c.name()] = &Ladder{Case: c, Since: m.LastTransition}
	case l.Since.IsZero():
		l.Case, l.Since, l.Note = c, m.LastTransition, ""
	}
}

// visit does for a ladder what is to be done now, and says whether that was anything.
func (r *Responders) visit(ctx context.Context, l *Ladder, m health.MonitorState, s snapshot,
	leads map[string]string) (done bool) {
	now := r.caseOf(m, s)
	if self, watched := s.selfTest(l.Server); watched {
		l.wellBefore = self.WellInRow
	}
	if r.opt.Users != nil && l.Server != "" {
		_, mixed := r.opt.Users(l.Server)
		l.Mixed = l.Mixed || mixed
	}
	moved := l.Server != "" && now.Server != "" && now.Server != l.Server
	if l.Rung == 0 && l.Begun == 0 && len(l.Lift) == 0 {
		l.Case = now
		moved = false
	}
	lead, until := leads[l.Server], r.comesBackUntil(l.Server, s)
	common, blameless := s.common(m), l.blameless(m.LastFailure)
	first := lead == "" || lead == l.Monitor || l.Canary != ""
	switch {
	case l.Begun != 0:
		return r.nextStep(ctx, l, m)
	case health.Outdated(m, s.active):
		l.Note = "it has moved to " + s.active(m.Target) + " since it failed: waiting for its probe"
	case common != "":
		l.Note, l.ForPeople, l.held = common, true, r.opt.Now()
		return first && r.rescue(ctx, l, m, s)
	case blameless != "":
		l.Note, l.ForPeople, l.held, l.blamed = blameless, true, r.opt.Now(), r.opt.Now()
	case l.settles(m, r.opt.Now()):
		l.Note = "nothing prevents recovery any more: waiting for its probe"
	case moved:
		return r.follow(ctx, l, now, s) && r.rescue(ctx, l, m, s)
	case first && r.rescue(ctx, l, m, s):
		return true
	case r.opt.Now().Before(until) && l.Canary == "":
		l.Note = fmt.Sprintf("%s was restarted and has until %s to come back", l.Server,
			until.UTC().Format(time.RFC3339))
	case !first:
		l.Note = lead + " is handled first"
		other := r.ladders[Case{Monitor: lead, Node: l.Node}.name()]
		l.ForPeople = l.ForPeople || other != nil && other.ForPeople ||
			other == nil && r.opt.Now().Sub(l.Since) > r.plan().Wait
	default:
		return r.nextStep(ctx, l, m)
	}
	return false
}

// comesBackUntil returns until when nothing is done to a mailbox server that was restarted, by a ladder or by hand:
// until its own probe has succeeded since, or the time of a step is over. A hook may return long before the server is
// back.
func (r *Responders) comesBackUntil(server string, s snapshot) time.Time {
	restart, ok := r.log.latest(func(record *Record) bool {
		return server != "" && record.Resource == server && record.Result == ResultSucceeded && isRestart(record.ID)
	})
	if self, _ := s.selfTest(server); !ok || self.LastSuccess.After(restart.End) {
		return time.Time{}
	}
	return restart.End.Add(r.plan().Wait)
}
