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

// moveSpread is the time over which the sessions of a database that moves end, so that their clients do not all come
// back at once.
const moveSpread = 5 * time.Second

// moveGrace is how long a move that is under way when the service stops may still take, once all sessions have ended.
const moveGrace = 2 * time.Second

// errStopping ends moves that are under way when the service stops.
var errStopping = admin.Of(admin.KindUnavailable, errors.New("Portico is stopping"))

// moves are the moves of databases and users that are under way. The zero value takes some.
type moves struct {
	mu      sync.Mutex // guards what follows
	stopped bool       // no more may begin
	cancels map[int]context.CancelCauseFunc
	last    int
	work    sync.WaitGroup
}

// begin returns a context for a move, which ends at ctx's end and at the end of the service's patience. done has to be
// called when the move is over.
func (m *moves) begin(ctx context.Context) (moving context.Context, done func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return nil, nil, errStopping
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

// evacuate moves what is active on a mailbox server.
func (s *service) evacuate(ctx context.Context, server string) ([]backend.MoveResult, error) {
	return s.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		return s.now().tier().Evacuate(ctx, server, o)
	})
}

// move runs what moves databases, and logs what became of them. Where the service stops, that is broken off: every
// database is then active where the store says, or suspended.
func (s *service) move(ctx context.Context, move func(context.Context,
	backend.MoveOptions) []backend.MoveResult) ([]backend.MoveResult, error) {
	ctx, done, err := s.moves.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	results := move(ctx, backend.MoveOptions{
		End:         s.endDatabase,
		Unreadable:  s.unreadable,
		Failed:      s.logFailed,
		ServerFails: s.serverFails,
	})
	for _, r := range results {
		event := s.log.Info()
		if r.Err != nil {
			event = s.log.Error().Err(r.Err)
		}
		event.Str("database", r.Database).Str("from", r.From).Str("to", r.To).Bool("moved", r.Err == nil).
			Msg("database moved")
	}
	return results, nil
}

// followMoves has what another writer of the store moves end sessions here as a move by this node does, until ctx ends.
func (s *service) followMoves(ctx context.Context) {
	s.active.Run(ctx, backend.FollowOptions{
		End:     s.endDatabase,
		EndUser: s.endUser,
		Queues:  s.signinQueues,
		Moved: func(database, from, to string, suspended bool) {
			s.log.Warn().Str("database", database).Str("from", from).Str("to", to).Bool("suspended", suspended).
				Msg("database moved by another writer of the store")
		},
		UserMoved: func(user, database string) {
			s.log.Warn().Str("user", user).Str("to", database).Msg("user moved by another writer of the store")
		},
		Failed: func(err error) { s.reported("cannot end all sessions after a move", err) },
	})
}

func (s *service) endDatabase(database string) { s.server.EndDatabase(database, moveSpread) }

func (s *service) endUser(user string) { s.server.EndUser(user, relay.ReasonMoved) }
