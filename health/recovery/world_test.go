package recovery

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/configs/store"
	"portico/health"
	"portico/health/catalogue"
)

// world is a site in simulated time: six mailbox servers with a database each, of which db1 to db3 have a copy on the
// next, and our front end. db7 is on mbx6 too.
type world struct {
	t          *testing.T
	now        time.Time
	store      store.Store
	plan       Plan
	monitors   []health.MonitorState
	active     map[string]string
	off        map[string]bool   // mailbox servers of which recovery is off
	verifyType health.ResultType // Failed if it is not set
	unread     map[string]error  // copies that cannot be read
	verify     health.Dependency // what a run by hand finds, if not that all is well
	well       bool              // a run by hand succeeds
	did        []string          // what actors were asked for
	fail       map[Action]error  // what comes of it
	undoFail   error
	stuck      bool     // what moves fails on
	sound      []string // mailbox servers that are ready for what is active elsewhere
	usersWell  bool     // the latest sign-ins have succeeded
	mixed      bool     // some sign-ins fail between others that succeed
	homing     bool     // a database that has moved moves back to its own server
	blocked    map[string]bool
	each       time.Duration // from a look to the next
	kill       Action        // the process ends in the middle of it
	helped     []string      // what has helped
	followed   []string      // monitors whose probes are repeated, since what they look at was restarted
	node       string        // its name
	site       *Site         // nil: it is alone
	follows    bool          // it is not the leader of its site
	resigned   int
	against    map[string][]string // nodes that see what a monitor looks at working
	meanwhile  func()              // called once during the next action
	r          *Responders
	ctx        context.Context
	end        context.CancelFunc
}

// noLimit throttles nothing.
var noLimit = Throttle{InAnHour: -1, InADay: -1, GroupInADay: -1}

func newWorld(t *testing.T) *world {
	w := &world{t: t, node: "mx1", each: lookEach,
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), store: store.Memory(),
		active: make(map[string]string), fail: make(map[Action]error), blocked: make(map[string]bool)}
	t.Cleanup(func() { w.store.Close() })
	add := func(set, name, target string) {
		w.monitors = append(w.monitors,
			health.MonitorState{Monitor: health.Monitor{HealthSet: set, Name: name, Target: target},
				Value: health.Healthy})
	}
	add(catalogue.SetProxy, catalogue.ImapProxyTestMonitor, "")
	for i := range 7 {
		n, at := fmt.Sprint(i+1), min(i+1, 6)
		w.active["db"+n] = fmt.Sprintf("mbx%d", at)
		add(catalogue.SetProtocol, catalogue.ImapDeepTestMonitor, "db"+n)
		add(catalogue.SetIMAP, catalogue.ImapCTPMonitor, "db"+n)
		if i < 6 {
			add(catalogue.SetProtocol, catalogue.ImapSelfTestMonitor, "mbx"+n)
		}
	}
	server := []Action{RestartService, Failover, RestartServer, Escalate}
	w.plan = Plan{Mode: Act, Wait: 5 * time.Minute, CommonPercent: 34, Throttles: make(map[Action]Throttle),
		Ladders: map[string][]Action{
			catalogue.ImapSelfTestMonitor: server, catalogue.ImapDeepTestMonitor: server,
			catalogue.ImapProxyTestMonitor: {RestartFrontEnd, OutOfService, Escalate},
			catalogue.ImapCTPMonitor:       {RestartService, ProtocolLog, RestartFrontEnd, Escalate},
		}}
	for action := range kinds {
		w.plan.Throttles[action] = noLimit
	}
	w.start()
	return w
}

// start begins another process.
func (w *world) start() {
	w.t.Helper()
	actors := make(map[Action]Actor)
	for action := range kinds {
		actor := Actor{Do: func(ctx context.Context, c Case) (string, error) {
			w.did = append(w.did, string(action)+" "+kinds[action].resource(c))
			if record, ok := w.r.log.find(c.Instance); !ok || record.State != Started {
				w.t.Errorf("%s is step %d: %+v", action, c.Instance, record)
			}
			if during := w.meanwhile; during != nil {
				w.meanwhile = nil
				during()
			}
			if w.kill == action {
				w.end()
				return "", ctx.Err()
			}
			if action == Failover && w.fail[action] == nil {
				w.move(c)
				w.blocked[c.Server] = w.blocked[c.Server] || !c.Alone
			}
			return "done", w.fail[action]
		}}
		if kinds[action].lifted != "" {
			actor.Undo = func(_ context.Context, c Case) error {
				w.did = append(w.did, kinds[action].lifted+" "+kinds[action].resource(c))
				if action == Failover && w.undoFail == nil {
					delete(w.blocked, c.Server)
				}
				return w.undoFail
			}
		}
		actors[action] = actor
	}
	w.ctx, w.end = context.WithCancel(context.Background())
	var err error
	w.r, err = New(w.t.Context(), Options{
		Monitors: func() []health.MonitorState { return slices.Clone(w.monitors) },
		Off:      func(server string) bool { return w.off[server] },
		Active:   func(database string) string { return w.active[database] },
		Verify: func(_ context.Context, m health.MonitorState) *health.Result {
			if w.well {
				return &health.Result{Type: health.Succeeded}
			}
			if w.verify != "" {
				return &health.Result{Type: cmp.Or(w.verifyType, health.Failed), Dependency: w.verify}
			}
			return m.LastFailure
		},
		Blocked: func(server string) bool { return w.blocked[server] },
		InUse: func(server string) bool {
			return slices.Contains(slices.Collect(maps.Values(w.active)), server)
		},
		Users:   func(server string) (well, mixed bool) { return w.usersWell, w.mixed },
		Standby: w.standby, Read: func(_ context.Context, database,
			server string) error {
			return w.unread[database+" on "+server]
		},
		Actors: actors, Site: w.site, Node: w.node, Store: w.store, Now: func() time.Time { return w.now },
		Failed: func(err error) { w.t.Error(err) },
		Helped: func(r Record) { w.helped = append(w.helped, r.ID+"/"+r.Resource) },
		Follow: func(monitor string, until time.Time) {
			w.followed = append(w.followed, fmt.Sprintf("%s for %v", monitor, until.Sub(w.now)))
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.r.Use(w.plan)
}

// move is what a failover does: the databases that have another copy go there.
func (w *world) move(c Case) {
	for database, at := range w.active {
		if at == c.Server && (!c.Alone || database == c.Database) && database <= "db3" {
			w.active[database] = w.next(database)
			if !w.stuck {
				w.set(health.Healthy, "", "DeepTestMonitor/"+database, "CTPMonitor/"+database)
			}
		}
	}
}

// standby says where move would move databases of a case to, if that is sound.
func (w *world) standby(_ context.Context, c Case, lifted []string) map[string]string {
	found := make(map[string]string)
	for database, at := range w.active {
		if at != c.Server || c.Alone && database != c.Database || database > "db3" {
			continue
		}
		if to := w.next(database); slices.Contains(w.sound, to) && (!w.blocked[to] || slices.Contains(lifted, to)) {
			found[database] = to
		}
	}
	return found
}

// next is where a failover moves a database: to the next server, or back home.
func (w *world) next(database string) string {
	at := w.active[database]
	if home := "mbx" + database[2:]; w.homing && at != home {
		return home
	}
	return fmt.Sprintf("mbx%c", at[3]+1)
}

// ready makes mailbox servers sound.
func (w *world) ready(servers ...string) {
	w.sound = servers
	for _, server := range servers {
		w.set(health.Healthy, "", "SelfTestMonitor/"+server)
	}
}

// set puts monitors whose identities end so into a state.
func (w *world) set(value health.AlertValue, d health.Dependency, ids ...string) {
	for i := range w.monitors {
		m := &w.monitors[i]
		if !slices.ContainsFunc(ids, func(id string) bool { return strings.HasSuffix(m.ID(), id) }) {
			continue
		}
		m.Value, m.LastTransition, m.InRow = value, w.now, 0
		if value == health.Healthy {
			m.LastSuccess = w.now
		} else {
			m.InRow = 5
			m.LastFailure = &health.Result{Type: health.Failed, Dependency: d, Mailbox: w.active[m.Target]}
		}
	}
}

// monitor returns the first monitor whose identity ends so.
func (w *world) monitor(id string) *health.MonitorState {
	return &w.monitors[slices.IndexFunc(w.monitors,
		func(m health.MonitorState) bool { return strings.HasSuffix(m.ID(), id) })]
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(w.each) {
		if w.ctx.Err() != nil {
			continue
		}
		if w.site != nil { // as Run does
			w.r.stored.Refresh(w.ctx)
			w.r.log.stored.Refresh(w.ctx)
		}
		w.r.look(w.ctx)
	}
}

// compare holds what was done since the last time, and who is told, against what should be.
func (w *world) compare(did string, told string) {
	w.t.Helper()
	if got := strings.Join(w.did, ", "); got != did {
		w.t.Errorf("%v: it did\n%s\nwanted\n%s", w.now.Sub(w.r.owner.ProcessStart), got, did)
	}
	w.did = nil
	people := make(map[string]bool)
	for _, m := range w.monitors {
		if m.Value == health.Unhealthy && w.r.ForPeople(m) {
			people[m.Name+"/"+m.Target] = true
		}
	}
	var all []string
	for id := range people {
		all = append(all, strings.NewReplacer("Imap", "", "TestMonitor", "", "Monitor", "").Replace(id))
	}
	slices.Sort(all)
	if got := strings.Join(all, " "); got != told {
		w.t.Errorf("%v: people are told about %q, wanted %q; ladders %+v", w.now.Sub(w.r.owner.ProcessStart), got, told,
			w.r.Ladders())
	}
}

// log is the recovery log, an entry a word.
func (w *world) log() string {
	var all []string
	for _, r := range w.r.Records() {
		all = append(all, fmt.Sprintf("%s/%s:%s", r.ID, r.Resource, r.Result))
	}
	return strings.Join(all, " ")
}
