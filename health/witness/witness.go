package witness

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"portico/configs/store"
	"portico/health"
)

const (
	// lookEach is how often this node's monitors are looked at; so it writes no more often.
	lookEach = 3 * time.Second
	// absentTime is how long a node that is absent is still counted among those that look: if etcd was away, all come
	// back at once, and probes are not passed to and fro.
	absentTime = time.Minute
)

// Options is what a Witness is built from.
type Options struct {
	Store   store.Store // the site's
	Node    string      // this node's name
	Present func() []string
	// Monitors returns all monitors of this node, and Report takes what other nodes have found about those that are
	// Elsewhere.
	Monitors func() []health.MonitorState
	Report   func(map[string]health.Report)
	// Hurry has the probe of a monitor run soon, because another node sees its target failing.
	Hurry func(set, probe, target string)
	// Copies returns the copies whose mail this node cannot read, sorted; no monitor has them. Nil has none.
	Copies func() []string
	// Changed is called when Looks would answer otherwise than before.
	Changed func()
	Now     func() time.Time // default time.Now
	Failed  func(error)
}

// Witness says what this node sees, and knows what the others see. It is safe for concurrent use.
type Witness struct {
	opt    Options
	stored *store.Mirror[seen] // by node

	mu       sync.Mutex // guards what follows
	present  []string
	last     map[string]time.Time // when a node was last present
	nodes    []string             // that count as those that look
	looks    map[string]bool      // by target: what Looks has answered
	said     map[string]*statement
	lookers  map[string][]string      // by target: the nodes that have said that they look at it
	reported map[string]health.Report // by monitor
}

// statement is what a node has said.
type statement struct {
	seen
	revision  uint64
	byMonitor map[string]fault
}

// Open reads what the other nodes see.
func Open(ctx context.Context, o Options) (*Witness, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Copies == nil {
		o.Copies = func() []string { return nil }
	}
	w := &Witness{opt: o, last: make(map[string]time.Time), looks: make(map[string]bool)}
	var err error
	w.stored, err = store.NewMirror(ctx, store.SetOf[seen](o.Store, storedSeen),
		store.MirrorOptions{Failed: func(err error) { o.Failed(fmt.Errorf("read what other nodes see: %w", err)) }})
	if err != nil {
		return nil, err
	}
	w.follow()
	w.said = nil // the first look has it as news
	return w, nil
}

// Looks says whether this node is one of those that look at a target.
func (w *Witness) Looks(target string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer, asked := w.looks[target]
	if !asked {
		answer = looks(w.opt.Node, target, w.nodes)
		w.looks[target] = answer
	}
	return answer
}

// Run says what this node sees, and follows what the others see, until ctx ends.
func (w *Witness) Run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { w.stored.Run(ctx) })
	ticker := time.NewTicker(lookEach)
	defer ticker.Stop()
	for {
		if err := w.look(ctx); err != nil && !errors.Is(err, store.ErrAway) && ctx.Err() == nil {
			w.opt.Failed(fmt.Errorf("store what this node sees: %w", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look does all once.
func (w *Witness) look(ctx context.Context) error {
	changed, news := w.follow()
	if changed {
		w.opt.Changed()
	}
	all, copies := w.opt.Monitors(), w.opt.Copies()
	w.mu.Lock()
	now := see(all, copies)
	reports := w.reports(all, w.opt.Now())
	w.mu.Unlock()
	w.opt.Report(reports)
	for _, m := range all {
		if news[m.ID()] && !m.Elsewhere && !isCheck(m) {
			w.opt.Hurry(m.HealthSet, m.Probe, m.Target)
		}
	}
	item := w.stored.Item(w.opt.Node)
	if item.Revision != 0 && item.Err == nil && reflect.DeepEqual(item.Value, now) {
		return nil
	}
	item.Value = now
	_, err := w.stored.Put(ctx, item)
	if errors.Is(err, store.ErrConflict) { // the process before, or an operator; the next look goes by what is stored
		return w.stored.Refresh(ctx)
	}
	return err
}

// follow takes in who is present and what they say. It says whether this node looks at other targets than before, and
// which monitors others see failing since the last time.
func (w *Witness) follow() (changed bool, news map[string]bool) {
	present, items, now := w.opt.Present(), w.stored.All(), w.opt.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range present {
		w.last[node] = now
	}
	var nodes []string
	for node, last := range w.last {
		if now.Sub(last) < absentTime {
			nodes = append(nodes, node)
		} else {
			delete(w.last, node)
		}
	}
	slices.Sort(nodes)
	w.present = present
	if !slices.Equal(nodes, w.nodes) {
		w.nodes = nodes
		for target, before := range w.looks {
			w.looks[target] = looks(w.opt.Node, target, nodes)
			changed = changed || w.looks[target] != before
		}
	}
	return changed, w.hear(items)
}

// hear takes in what nodes say. It returns which monitors others see failing since the last time. The caller holds mu.
func (w *Witness) hear(items []store.Item[seen]) (news map[string]bool) {
	before, same := w.said, len(items) == len(w.said)
	w.said, news = make(map[string]*statement, len(items)), make(map[string]bool)
	for _, item := range items {
		last := before[item.Name]
		if last != nil && last.revision == item.Revision {
			w.said[item.Name] = last
			continue
		}
		same = false
		s := &statement{seen: item.Value, revision: item.Revision, byMonitor: make(map[string]fault)}
		for _, f := range item.Value.Faults {
			s.byMonitor[f.Monitor] = f
			if failing[f.Value] != 0 && item.Name != w.opt.Node && (last == nil ||
				failing[last.byMonitor[f.Monitor].Value] == 0) {
				news[f.Monitor] = true
			}
		}
		w.said[item.Name] = s
	}
	if same {
		return news
	}
	w.lookers = make(map[string][]string, len(w.lookers))
	for node, s := range w.said {
		for _, target := range s.Targets {
			w.lookers[target] = append(w.lookers[target], node)
		}
	}
	return news
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
