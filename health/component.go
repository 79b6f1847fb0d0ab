package health

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The components, in Exchange's words (EXCHANGE.md 1.5). ServerWideOffline switches the others too. Monitoring says whether anybody is told, and
// RecoveryActionsEnabled whether anything is done.
const (
	ComponentImapProxy         = "ImapProxy"
	ComponentServerWideOffline = "ServerWideOffline"
	ComponentMonitoring        = "Monitoring"
	ComponentRecoveryActions   = "RecoveryActionsEnabled"
)

var (
	components = []string{ComponentImapProxy, ComponentMonitoring, ComponentRecoveryActions, ComponentServerWideOffline}
	requesters = []string{"HealthAPI", "Maintenance", "Sidelined", "Functional", "Deployment"}
)

// Request is what one requester wants of a component. Each has an entry of its own, which nobody else can lift.
type Request struct {
	Component string    `json:"component"`
	Requester string    `json:"requester"`
	State     string    `json:"state"` // Active or Inactive
	At        time.Time `json:"at"`
	Source    string    `json:"source,omitempty"` // where it comes from: one of the Source constants; "" if an earlier version made it
	Who       string    `json:"who,omitempty"`    // the user or token that asked for it; "" if Portico did
}

// Where requests come from.
const (
	SourceOperator    = "operator"    // component set
	SourceMaintenance = "maintenance" // maintenance of this node
	SourceRecovery    = "recovery"    // a step of recovery
)

// The states.
const (
	Active   = "Active"
	Inactive = "Inactive"
)

// Known checks a request's names and puts them in their own spelling.
func (r Request) Known() (Request, error) {
	for _, name := range []struct {
		what  string
		field *string
		known []string
	}{{"component", &r.Component, components}, {"requester", &r.Requester, requesters}, {"state", &r.State, []string{Active, Inactive}}} {
		i := slices.IndexFunc(name.known, func(known string) bool { return strings.EqualFold(known, *name.field) })
		if i < 0 {
			return r, unknown(fmt.Sprintf("there is no %s %q: there are %s", name.what, *name.field, strings.Join(name.known, ", ")))
		}
		*name.field = name.known[i]
	}
	return r, nil
}

// Components keeps what requesters want. Safe for concurrent use; the zero value has no requests.
type Components struct {
	mu  sync.Mutex
	all map[string]Request // by component and requester
}

// Set puts a request in the place of the requester's earlier one.
func (c *Components) Set(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[string]Request)
	}
	c.all[r.Component+"/"+r.Requester] = r
}

// Requests lists them all, by component and requester.
func (c *Components) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Request, 0, len(c.all))
	for _, r := range c.all {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Request) int {
		return strings.Compare(a.Component+"/"+a.Requester, b.Component+"/"+b.Requester)
	})
	return all
}

// State is a component's: Inactive if any requester wants that, of it or of the whole server.
func (c *Components) State(component string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.all {
		if r.State == Inactive && (r.Component == component || r.Component == ComponentServerWideOffline) {
			return Inactive
		}
	}
	return Active
}

// ComponentState is a component with what is wanted of it.
type ComponentState struct {
	Component string    `json:"component"`
	State     string    `json:"state"`
	Requests  []Request `json:"requests"` // of it, and of the whole server if that is Inactive
}

// States lists all components.
func (c *Components) States() []ComponentState {
	requests := c.Requests()
	all := []ComponentState{}
	for _, name := range components {
		s := ComponentState{Component: name, State: c.State(name), Requests: []Request{}}
		for _, r := range requests {
			if r.Component == name || r.Component == ComponentServerWideOffline && r.State == Inactive {
				s.Requests = append(s.Requests, r)
			}
		}
		all = append(all, s)
	}
	return all
}
