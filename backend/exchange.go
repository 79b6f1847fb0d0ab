package backend

import (
	"context"
	"errors"
)

// exchange is a sign-in that waits for its client. Meanwhile it has no lease: the client may be silent for as long as
// it likes, and nothing has to wait for that. A move that begins meanwhile ends the exchange, as the server at its
// other end may not be the active one any more.
type exchange struct {
	database, user string
	end            context.CancelCauseFunc
	ended          bool
}

var errMoving = errors.New("the database or the user is moving while the client is asked")

// askClient calls ask, which waits for the client, without the route's lease. It returns errMoving if a move has begun
// meanwhile; that ends the context that ask gets.
func (m *ActiveManager) askClient(ctx context.Context, r Route, ask func(context.Context) ([]byte,
	error)) (response []byte, err error) {
	if !r.leased {
		return ask(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x := &exchange{database: r.Database, user: r.User, end: cancel}
	m.setAside(x)
	defer func() {
		if m.takeUp(x); x.ended {
			response, err = nil, errMoving
		}
	}()
	return ask(ctx)
}

// setAside gives an exchange's lease back. If a move waits for it, the exchange ends at once.
func (m *ActiveManager) setAside(x *exchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exchanges[x] = struct{}{}
	u, d := m.users[x.user], m.databases[x.database]
	if u != nil && u.held != nil || d != nil && d.held.held != nil {
		x.stop()
	}
	m.giveBack(x.database, x.user)
}

// takeUp counts an exchange's sign-in as under way again. One that has ended must go no further than to its release.
func (m *ActiveManager) takeUp(x *exchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.exchanges, x)
	if d := m.databases[x.database]; d != nil {
		d.signIns++
	}
	m.user(x.user).signIns++
}

// endExchanges ends the exchanges of a database or a user that begins to move. The caller holds the mutex.
func (m *ActiveManager) endExchanges(concerned func(*exchange) bool) {
	for x := range m.exchanges {
		if concerned(x) {
			x.stop()
		}
	}
}

func (x *exchange) stop() {
	x.ended = true
	x.end(errMoving)
}
