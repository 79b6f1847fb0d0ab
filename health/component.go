package health

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The components, in Exchange's words (EXCHANGE.md 1.5). ServerWideOffline switches the others too. Monitoring says
// whether anybody is told, and RecoveryActionsEnabled whether anything is done.
const (
	ComponentImapProxy         = "ImapProxy"
	ComponentServerWideOffline = "ServerWideOffline"
	ComponentMonitoring        = "Monitoring"
	ComponentRecoveryActions   = "RecoveryActionsEnabled"
)

var (
	components = []string{ComponentImapProxy, ComponentMonitoring, ComponentRecoveryActions,
		ComponentServerWideOffline}
	requesters = []string{"HealthAPI", "Maintenance", "Sidelined", "Functional", "Deployment"}
)

// Request is what one requester wants of a component. Each has an entry of its own, which nobody else can lift.
type Request struct {
	Component string `json:"component"`
	// a mailbox server, for RecoveryActionsEnabled only; "" for this node
	Server    string    `json:"server,omitempty"`
	Requester string    `json:"requester"`
	State     string    `json:"state"`          // Active or Inactive
	Until     time.Time `json:"until,omitzero"` // when the request ends; zero if it lasts
	At        time.Time `json:"at"`
	// where it comes from: one of the Source constants; "" if an earlier version made it
	Source string `json:"source,omitempty"`
	Who    string `json:"who,omitempty"` // the user or token that asked for it; "" if Portico did
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

// Key identifies a request: COMPONENT/REQUESTER, or COMPONENT@SERVER/REQUESTER.
func (r Request) Key() string {
	if r.Server != "" {
		return r.Component + "@" + r.Server + "/" + r.Requester
	}
	return r.Component + "/" + r.Requester
}

// Known checks a request's names and puts them in their own spelling.
func (r Request) Known() (Request, error) {
	for _, name := range []struct {
		what  string
		field *string
		known []string
	}{{"component", &r.Component, components}, {"requester", &r.Requester, requesters}, {"state", &r.State,
		[]string{Active, Inactive}}} {
		i := slices.IndexFunc(name.known, func(known string) bool { return strings.EqualFold(known, *name.field) })
		if i < 0 {
			return r, unknown(fmt.Sprintf("there is no %s %q: there are %s", name.what, *name.field,
				strings.Join(name.known, ", ")))
		}
		*name.field = name.known[i]
	}
	if r.Server != "" && r.Component != ComponentRecoveryActions {
		return r, fmt.Errorf("component %s belongs to this node: only %s can also be set for a mailbox server",
			r.Component,
			ComponentRecoveryActions)
	}
	return r, nil
}

// Components keeps what requesters want. Safe for concurrent use; the zero value has no requests.
type Components struct {
	mu  sync.Mutex
	all map[string]Request // by key
}

// Set puts a request in the place of the requester's earlier one.
func (c *Components) Set(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[string]Request)
	}
	c.all[r.Key()] = r
}

// Drop forgets a request.
func (c *Components) Drop(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, r.Key())
}

// Requests lists them all, by key.
func (c *Components) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Request, 0, len(c.all))
	for _, r := range c.all {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Request) int {
		return strings.Compare(a.Key(), b.Key())
	})
	return all
}

// State is a component's: Inactive if any requester wants that, of it or of this whole node.
func (c *Components) State(component string) string { return c.StateOf(component, "") }

// StateOf is State for a mailbox server: Inactive if any requester wants that, of the server or of this node.
func (c *Components) StateOf(component, server string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.all {
		if r.State == Inactive && (r.Server == "" || r.Server == server) &&
			(r.Component == component || r.Component == ComponentServerWideOffline) {
			return Inactive
		}
	}
	return Active
}

// ComponentState is a component with what is wanted of it.
type ComponentState struct {
	Component string    `json:"component"`
	Server    string    `json:"server,omitempty"` // the mailbox server; "" for this node
	State     string    `json:"state"`
	Requests  []Request `json:"requests"` // of it, and of the whole node if that is Inactive
}

// States lists all components, and those of mailbox servers of which somebody wants something.
func (c *Components) States() []ComponentState {
	requests := c.Requests()
	all := []ComponentState{}
	for _, name := range components {
		servers := []string{""}
		for _, r := range requests {
			if r.Component == name && !slices.Contains(servers, r.Server) {
				servers = append(servers, r.Server)
			}
		}
		for _, server := range servers {
			s := ComponentState{Component: name, Server: server, State: c.StateOf(name, server), Requests: []Request{}}
			for _, r := range requests {
				if r.Component == name && r.Server == server || r.Server == "" && r.State == Inactive &&
					(r.Component == name || r.Component == ComponentServerWideOffline) {
					s.Requests = append(s.Requests, r)
				}
			}
			all = append(all, s)
		}
	}
	return all
}
