package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"portico/backend"
	"portico/backend/move"
	"portico/configs/store"
	"portico/health/admin"
)

// mailboxState is what Portico knows of mailbox servers and databases at run time. The tiers of all reloads share it.
// Each part guards itself.
type mailboxState struct {
	site            store.Store            // of the whole site
	active          *backend.ActiveManager // active copies, blocks, policies, moved users
	mechanisms      *backend.OfferedMechanisms
	circuitBreakers *backend.CircuitBreakers
	outcomes        *backend.SigninOutcomes
	signinQueues    *backend.SigninQueues
	pauses          *backend.Pauses              // of the site; nil for a node alone
	report          func(what string, err error) // called for errors that occur later and do not stop the node
}

// newMailboxState reads what is stored: in the site's store, and in this node's. members have to agree when something
// moves.
func newMailboxState(ctx context.Context, site, local store.Store, members *move.Members,
	report func(what string, err error)) (*mailboxState, error) {
	active, err := backend.NewActiveManager(ctx, site, members, func(err error) {
		report("stored state of databases and mailbox servers not usable", err)
	})
	if err != nil {
		return nil, err
	}
	mechanisms, err := backend.NewOfferedMechanisms(ctx, local)
	if err != nil {
		return nil, err
	}
	return &mailboxState{site: site, active: active, mechanisms: mechanisms, report: report,
		circuitBreakers: backend.NewCircuitBreakers(time.Now, rand.Float64),
		outcomes:        backend.NewSigninOutcomes(time.Now), signinQueues: backend.NewSigninQueues(time.Now)}, nil
}

// pauseWith has pauses of mailbox servers hold at all nodes of a site.
func (m *mailboxState) pauseWith(site *membership) {
	if site != nil {
		m.pauses = backend.NewPauses(site.store, m.signinQueues, site.log.reporter("pauses of mailbox servers"))
	}
}

// activeOn returns the server with a database's active copy, "" if there is none.
func (m *mailboxState) activeOn(database string) string {
	server, _ := m.active.Active(database)
	return server
}

// activeDatabases lists what is active on a server.
func (m *mailboxState) activeDatabases(server string) []string {
	var all []string
	for _, copied := range m.active.Copies() {
		if copied.Active && copied.Server == server {
			all = append(all, copied.Database)
		}
	}
	return all
}

// activation says whether databases may be activated on a server.
func (m *mailboxState) activation(server string) string {
	return admin.Activation(m.active.Blocked(server))
}

// pause holds the sign-ins to a server, at all nodes of the site.
func (m *mailboxState) pause(ctx context.Context, server string, d time.Duration) error {
	if m.pauses != nil {
		return m.pauses.Pause(ctx, server, d)
	}
	return m.signinQueues.Pause(server, d)
}

// resume ends a pause.
func (m *mailboxState) resume(ctx context.Context, server string) error {
	if m.pauses != nil {
		return m.pauses.Resume(ctx, server)
	}
	m.signinQueues.Resume(server)
	return nil
}

// admitted is what held returns for a server whose sign-ins do not wait.
const admitted = "admitted"

// held says for how long the sign-ins to a server still wait, and how many do.
func (m *mailboxState) held(server string) string {
	queue := m.signinQueues.State(server)
	if queue.Paused <= 0 {
		return admitted
	}
	return fmt.Sprintf("held for %v, %d waiting", queue.Paused.Round(time.Second), queue.Waiting)
}
