package backend

import (
	"context"
	"errors"
)

// saslExchange is a sign-in that waits for its client's next SASL message. Meanwhile it has no lease, so that a silent
// client delays nothing. A move that begins meanwhile ends the exchange, because its server may no longer be active.
type saslExchange struct {
	database, user string
	end            context.CancelCauseFunc
	ended          bool
}

var errMoving = errors.New("the database or the user is moving while the client is asked")

// askClient calls ask, which waits for the client, without the route's lease. If a move begins meanwhile, it cancels
// ask's context and returns errMoving.
func (m *ActiveManager) askClient(ctx context.Context, r Route, ask func(context.Context) ([]byte,
	error)) (response []byte, err error) {
	if !r.leased {
		return ask(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x := &saslExchange{database: r.Database, user: r.User, end: cancel}
	m.setAside(x)
	defer func() {
		if m.takeUp(x); x.ended {
			response, err = nil, errMoving
		}
	}()
	return ask(ctx)
}

// setAside returns an exchange's lease. If a move waits for the lease, the exchange ends at once.
func (m *ActiveManager) setAside(x *saslExchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exchanges[x] = struct{}{}
	if m.holding(x.database, x.user) != nil {
		x.stop()
	}
	m.giveBack(x.database, x.user)
}

// takeUp takes the lease again. An exchange that has ended may only be released.
func (m *ActiveManager) takeUp(x *saslExchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.exchanges, x)
	if d := m.databases[x.database]; d != nil {
		d.signIns++
	}
	m.user(x.user).signIns++
}

// endExchanges ends the exchanges of a database or a user that begins to move. The caller holds the mutex.
func (m *ActiveManager) endExchanges(concerned func(*saslExchange) bool) {
	for x := range m.exchanges {
		if concerned(x) {
			x.stop()
		}
	}
}

func (x *saslExchange) stop() {
	x.ended = true
	x.end(errMoving)
}
