package components

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/configs/store"
)

// Options is what a Set is built from.
type Options struct {
	Stored store.Set[Request] // by Request.Key
	// Changed is called after each change of the requests, one call at a time. It must not change them.
	Changed func()
	Ended   func(Request) // called for each request whose time is over; may be nil
	Failed  func(error)   // told what cannot be read or deleted; nil tells nobody
	Now     func() time.Time
}

// Set is the requests of a node. Its methods are safe for concurrent use.
type Set struct {
	opt      Options
	requests *store.Mirror[Request]
}

// Open reads the requests.
func Open(ctx context.Context, o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ended == nil {
		o.Ended = func(Request) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	requests, err := store.NewMirror(ctx, o.Stored, store.MirrorOptions{Changed: o.Changed, Failed: o.Failed})
	return &Set{o, requests}, err
}

// endEach is how often requests whose time is over are deleted.
const endEach = 10 * time.Second

// Run follows the store and deletes requests whose time is over, until ctx ends.
func (s *Set) Run(ctx context.Context) {
	s.requests.RunEach(ctx, endEach, func() {
		if err := s.End(ctx, s.opt.Now()); err != nil && ctx.Err() == nil {
			s.opt.Failed(err)
		}
	})
}

// Ask stores a request in the place of the requester's earlier one, and returns it with the time of now.
func (s *Set) Ask(ctx context.Context, r Request) (Request, error) {
	r.At = s.opt.Now().UTC().Truncate(time.Millisecond)
	item, err := s.requests.Get(ctx, r.Key())
	if err != nil {
		return r, err
	}
	item.Value = r
	_, err = s.requests.Put(ctx, item)
	return r, err
}

// End deletes the requests whose time is over at now. One that cannot be deleted holds up no other.
func (s *Set) End(ctx context.Context, now time.Time) error {
	var failures []error
	for _, item := range s.requests.All() {
		if r := item.Value; !r.Until.IsZero() && !now.Before(r.Until) {
			if err := s.requests.Remove(ctx, item); err != nil {
				failures = append(failures, err)
				continue
			}
			s.opt.Ended(r)
		}
	}
	return errors.Join(failures...)
}

// Requests lists them all, by key.
func (s *Set) Requests() []Request {
	items := s.requests.All()
	all := make([]Request, 0, len(items))
	for _, item := range items {
		all = append(all, item.Value)
	}
	return all
}

// State is a component's: Inactive if any requester wants that, of it or of this whole node.
func (s *Set) State(component string) string { return s.StateOf(component, "") }

// StateOf is State for a mailbox server: Inactive if any requester wants that, of the server or of this node.
func (s *Set) StateOf(component, server string) string {
	return stateOf(s.Requests(), component, server)
}

func stateOf(requests []Request, component, server string) string {
	for _, r := range requests {
		if r.State == Inactive && (r.Server == "" || r.Server == server) &&
			(r.Component == component || r.Component == ServerWideOffline) {
			return Inactive
		}
	}
	return Active
}

// State is a component with what is wanted of it.
type State struct {
	Component string    `json:"component"`
	Server    string    `json:"server,omitempty"` // the mailbox server; "" for this node
	State     string    `json:"state"`
	Requests  []Request `json:"requests"` // of it, and of the whole node if that is Inactive
}

// States lists all components, and those of mailbox servers of which a requester wants something.
func (s *Set) States() []State {
	requests := s.Requests()
	all := []State{}
	for _, name := range names {
		servers := []string{""}
		for _, r := range requests {
			if r.Component == name && !slices.Contains(servers, r.Server) {
				servers = append(servers, r.Server)
			}
		}
		for _, server := range servers {
			state := State{Component: name, Server: server, State: stateOf(requests, name, server),
				Requests: []Request{}}
			for _, r := range requests {
				if r.Component == name && r.Server == server || r.Server == "" && r.State == Inactive &&
					(r.Component == name || r.Component == ServerWideOffline) {
					state.Requests = append(state.Requests, r)
				}
			}
			all = append(all, state)
		}
	}
	return all
}

var activeDesc = prometheus.NewDesc("portico_component_active", "Whether a component is Active: 1 or 0.",
	[]string{"component"}, nil)

// Describe implements prometheus.Collector.
func (s *Set) Describe(ch chan<- *prometheus.Desc) { ch <- activeDesc }

// Collect implements prometheus.Collector.
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	for _, name := range names {
		active := 0.0
		if s.State(name) == Active {
			active = 1
		}
		ch <- prometheus.MustNewConstMetric(activeDesc, prometheus.GaugeValue, active, name)
	}
}
