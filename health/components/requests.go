// Package components keeps what requesters want of a node's components: whether it takes clients, tells people, and
// acts. A component is Inactive if any requester wants that. The requests are kept in the store and survive a restart.
package components

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/health"
)

// The components, in Exchange's words (docs/exchange.md). ServerWideOffline switches the others too. Monitoring says
// whether people are told, and RecoveryActions whether recovery acts.
const (
	ImapProxy         = "ImapProxy"
	ServerWideOffline = "ServerWideOffline"
	Monitoring        = "Monitoring"
	RecoveryActions   = "RecoveryActionsEnabled"
)

var (
	names = []string{ImapProxy, Monitoring, RecoveryActions,
		ServerWideOffline}
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
	At        time.Time `json:"at,omitzero"`
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
	}{{"component", &r.Component, names}, {"requester", &r.Requester, requesters}, {"state", &r.State,
		[]string{Active, Inactive}}} {
		i := slices.IndexFunc(name.known, func(known string) bool { return strings.EqualFold(known, *name.field) })
		if i < 0 {
			return r, health.Unknown(fmt.Sprintf("there is no %s %q: there are %s", name.what, *name.field,
				strings.Join(name.known, ", ")))
		}
		*name.field = name.known[i]
	}
	if r.Server != "" && r.Component != RecoveryActions {
		return r, fmt.Errorf("component %s belongs to this node: only %s can also be set for a mailbox server",
			r.Component, RecoveryActions)
	}
	return r, nil
}
