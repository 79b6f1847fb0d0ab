package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"portico/backend"
	"portico/health/admin"
	"portico/proxy/relay"
)

// moveGrace is how long a move that is under way when the service stops may still take, once all sessions have ended.
const moveGrace = 2 * time.Second

// errStopping ends moves that are under way when the service stops.
var errStopping = admin.Of(admin.KindUnavailable, errors.New("this node is stopping"))

// moves are the moves of databases and users that are under way. The zero value takes some.
type moves struct {
	mu      sync.Mutex // guards what follows
	stopped bool       // no more may begin
	paused  bool       // none may begin now
	cancels map[int]context.CancelCauseFunc
	last    int
	work    sync.WaitGroup
}

// begin returns a context for a move, which ends at ctx's end and at the end of the service's patience. done has to be
// called when the move is over.
func (m *moves) begin(ctx context.Context) (moving context.Context, done func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
		return nil, nil, errStopping
	case m.paused:
		return nil, nil, errUpgrading
	}
	moving, cancel := context.WithCancelCause(ctx)
	if m.cancels == nil {
		m.cancels = make(map[int]context.CancelCauseFunc)
	}
	m.last++
	id := m.last
	m.cancels[id] = cancel
	m.work.Add(1)
	return moving, func() {
		m.mu.Lock()
		delete(m.cancels, id)
		m.mu.Unlock()
		cancel(nil)
		m.work.Done()
	}, nil
}

// pause lets no more moves begin until resume is called. It returns errMoving if some are under way.
func (m *moves) pause() (resume func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
		return nil, errStopping
	case len(m.cancels) > 0:
		return nil, errMoving
	}
	m.paused = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.paused = false
	}, nil
}

// stop lets no more moves begin.
func (m *moves) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
}

// end waits for the moves under way, breaks off after grace what is not over, and returns when none is left. stop was
// called before.
func (m *moves) end(grace time.Duration) {
	late := time.AfterFunc(grace, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, cancel := range m.cancels {
			cancel(errStopping)
		}
	})
	defer late.Stop()
	m.work.Wait()
}

// mover moves databases, with what monitors say about their copies.
type mover struct {
	underWay moves // of databases and users
	config   *configuration
	log      *nodeLog
	sessions *carriedSessions
	cluster  *membership
	monitors interface {
		unreadable(database, server string) (f backend.Failure, unreadable bool)
		plan()
		serverFails(server string) error
	}
}

// evacuate moves what is active on a mailbox server.
func (m *mover) evacuate(ctx context.Context, server string) ([]backend.MoveResult, error) {
	return m.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		return m.config.current().tier().Evacuate(ctx, server, o)
	})
}

// moving moves databases.
type moving = func(context.Context, backend.MoveOptions) []backend.MoveResult

// move runs what moves databases, and logs what became of them. Where the service stops, that is broken off: every
// database is then active where the store says, or suspended.
func (m *mover) move(ctx context.Context, move moving) ([]backend.MoveResult, error) {
	ctx, done, err := m.underWay.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	results := move(ctx, backend.MoveOptions{
		End:         m.sessions.endDatabase,
		Unreadable:  m.monitors.unreadable,
		Failed:      func(f backend.Failure) { logFailedCopy(m.log, f) },
		ServerFails: m.monitors.serverFails,
	})
	for _, r := range results {
		m.cluster.moved(r.Err)
		event := m.log.Info()
		if r.Err != nil {
			event = m.log.Error().Err(r.Err)
		}
		event.Str("database", r.Database).Str("from", r.From).Str("to", r.To).Bool("moved", r.Err == nil).
			Msg("database moved")
	}
	return results, nil
}

// follow ends sessions here when another writer of the store moves a database or user, as a move by this node does,
// until ctx ends.
func (m *mover) follow(ctx context.Context, mailbox *mailboxState) {
	mailbox.active.Run(ctx, backend.FollowOptions{
		End:     m.sessions.endDatabase,
		EndUser: m.sessions.endUser, EndUsers: m.sessions.endUsers,
		Queues: mailbox.signinQueues,
		Moved: func(database, from, to string, suspended bool) {
			m.log.Warn().Str("database", database).Str("from", from).Str("to", to).Bool("suspended", suspended).
				Msg("database moved by another writer of the store")
		},
		UserMoved: func(user, database string) {
			m.log.Warn().Str("user", user).Str("to", database).Msg("user moved by another writer of the store")
		},
		CanaryChanged: func(now backend.Canary) {
			m.log.Warn().Str("database", now.Database).Str("now", canaryWords(now)).
				Msg("canary changed by another writer of the store")
			m.monitors.plan()
		},
		Failed: m.log.reporter("cannot end all sessions after a move"),
	})
}

// moveSpread is the time over which the sessions of a database that moves end, so that their clients do not all come
// back at once.
const moveSpread = 5 * time.Second

// endDatabase ends the sessions of a database that moves, and returns when none is left.
func (c *clientSide) endDatabase(database string) { c.server.EndDatabase(database, moveSpread) }

// endUser ends the sessions of a user who moves, and returns when none is left.
func (c *clientSide) endUser(user string) { c.server.EndUser(user, relay.ReasonMoved) }
