package backend

import (
	"context"
	"time"
)

// protection decides when a mailbox server gets no sign-ins, or fewer than would come. Its parts outlive the Tier, and
// each guards itself.
type protection struct {
	circuitBreakers *CircuitBreakers // no sign-ins to a server that fails
	queues          *SigninQueues    // sign-ins wait for a server that is paused, or that has just got databases
	outcomes        *SigninOutcomes  // of users' sign-ins, for health checks
}

// admit waits in a server's sign-in queue. ctx bounds the time.
func (p *protection) admit(ctx context.Context, server string, by waiting) (err error) {
	for in := p.queues.pass(server); !in; {
		if in, err = p.queues.wait(ctx, server, by); err != nil {
			return err
		}
	}
	return nil
}

// takesUsersFor is how long a user's sign-in shows that a server accepts users.
const takesUsersFor = 10 * time.Second

// TakesUsers says whether a user has just signed in to a mailbox server, so that a refusal of another account is not
// the server's fault. Sign-ins of probes do not count.
func (t *Tier) TakesUsers(server string) bool {
	last := t.protection.outcomes.Of(server).Succeeded
	return !last.IsZero() && t.protection.outcomes.now().Sub(last) < takesUsersFor
}
