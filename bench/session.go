package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Pauses between attempts to sign in again, so that sessions do not overload a server that drops them.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// script is what one session does. It belongs to the session's goroutine.
type script interface {
	// row is where whole operations are recorded.
	row() row
	// stays reports whether sessions sign in before operations begin, and stay signed in between operations.
	stays() bool
	// setUp prepares what operations need, after each sign-in.
	setUp(ctx context.Context, s *session) error
	// operate does one operation.
	operate(ctx context.Context, s *session) error
	// tearDown removes what the session has created on the server.
	tearDown(s *session) error
}

// session is one of the simulated users.
type session struct {
	// Set once.
	engine *engine
	shard  *shard
	number int
	user   User
	target *Target
	source netip.Addr // the zero value leaves it to the system
	script script
	random *rand.Rand // of what it does
	tags   *rand.Rand // not of the seed

	// The session's goroutine's own.
	main     *clientConn // nil if not connected
	due      time.Time   // when the operation under way was due, until its first command has taken it
	schedule schedule
	pause    time.Duration
	signIns  int
	timer    *time.Timer
	wasReady bool
	joined   bool // signed in and set up
	spoilt   bool // an answer in the operation under way was wrong
	coverage coverage

	dueAt   atomic.Int64 // when the next operation is due, in Unix nanoseconds; for the observer
	leaving atomic.Bool  // it tidies up

	mu        sync.Mutex
	conns     map[*clientConn]struct{} // open ones, for the engine to cut
	listening *clientConn              // the session waits, and reads what comes on it; nil otherwise
}

// run runs the session until its end.
func (s *session) run(ctx context.Context) {
	joined := !s.script.stays() || s.join(ctx)
	s.ready()
	for joined && !s.engine.hasStarted() { // a longer sign-in was delayed by the server
		joined = s.keep(ctx, s.engine.started, time.Time{})
	}
	<-s.engine.started // every run needs this, also one that ends at once
	if !s.engine.options.Closed {
		s.schedule.start(s.engine.startedAt)
	}
	for joined && s.nextOperation(ctx) {
		if s.script.stays() && s.main == nil && !s.join(ctx) {
			s.neverBegun(s.schedule.began, time.Now())
			break
		}
		s.endOperation(s.script.operate(ctx, s))
	}
	s.leave()
}

// neverBegun counts an operation that was due and is dropped.
func (s *session) neverBegun(due, now time.Time) {
	late := now.Sub(due)
	s.shard.record(s.script.row(), due, late, outcomeNeverBegun)
	s.reportOf(due, failed(KindNeverBegun, s.script.row(), "due for %s", micros(late.Microseconds())))
}

// ready tells the engine, once, that the session has signed in or failed to.
func (s *session) ready() {
	if !s.wasReady {
		s.wasReady = true
		s.engine.waiting.Done()
	}
}

// join repeats sign-in and set-up until they succeed or the run is over.
func (s *session) join(ctx context.Context) bool {
	for {
		if s.engine.isOver() || s.signIns > 0 && !s.rest() {
			return false
		}
		began := time.Now()
		err := s.open(ctx, time.Time{})
		if err == nil {
			err = s.script.setUp(ctx, s)
		}
		if err == nil {
			s.settle()
			if late := s.engine.inTime(nil, rowSignIn, time.Since(began)); late != nil {
				s.report(late)
			}
			s.nowJoined()
			return true
		}
		s.report(err)
		s.disconnect()
		s.ready()
	}
}

// rest waits before the next attempt, longer each time until an operation succeeds. It returns false when the run is
// over.
func (s *session) rest() bool {
	s.pause = min(max(2*s.pause, firstPause), lastPause)
	jitter := time.Duration(s.random.Int64N(int64(s.pause)/2 + 1))
	return s.sleep(s.pause/2 + jitter)
}

// open makes the session's main connection and signs in.
func (s *session) open(ctx context.Context, from time.Time) error {
	if s.signIns++; s.signIns > 1 && s.script.stays() {
		s.shard.reconnected()
	}
	c, err := s.signIn(ctx, from)
	if err != nil {
		return err
	}
	s.main = c
	return nil
}

// nowJoined counts the session as signed in, until it is disconnected.
func (s *session) nowJoined() {
	if !s.joined {
		s.joined = true
		s.engine.joined.Add(1)
	}
}

// disconnect closes whatever is open.
func (s *session) disconnect() {
	if s.joined {
		s.joined = false
		s.engine.joined.Add(-1)
	}
	s.main = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.settle()
		c.conn.Close()
		delete(s.conns, c)
	}
}

// adopt registers a connection so that the engine can close it.
func (s *session) adopt(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
}

// quieten ends measuring on the session's connections.
func (s *session) quieten() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.settle()
		c.shard = s.engine.unseen
	}
}

// drop closes one connection.
func (s *session) drop(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.settle()
	c.conn.Close()
	delete(s.conns, c)
}

// settle records the commands whose answers can no longer prove wrong.
func (s *session) settle() {
	for c := range s.conns { // only this goroutine changes it
		c.settle()
	}
}

// cutOff closes the connections from another goroutine, at the end of a run.
func (s *session) cutOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.conn.Close()
	}
}

// nextOperation waits until an operation is due. It returns false when no more may begin.
func (s *session) nextOperation(ctx context.Context) bool {
	if s.engine.options.Closed {
		s.due = time.Time{}
		s.schedule.began = time.Now()
		return !s.engine.isOver()
	}
	for {
		now := time.Now()
		since, until := s.engine.window(now)
		due, abandoned := s.schedule.next(since, until, s.engine.options.Backlog)
		s.dueAt.Store(due.UnixNano())
		for _, given := range abandoned {
			s.neverBegun(given, until)
		}
		if !due.Before(s.engine.planned) {
			for !s.engine.isOver() && s.keep(ctx, s.engine.over, time.Time{}) {
			}
			return false
		}
		if !s.engine.mayBegin(due, now) {
			return false
		}
		if !due.After(now) {
			s.begin(due, now)
			return true
		}
		if !s.keep(ctx, s.engine.over, due) {
			return false
		}
	}
}

// begin takes the operation that is due. If the session was free when it was due, and the tool only woke late, the
// delay is the tool's own: it is reported separately, and the latency counts from now. Otherwise the server has
// delayed the session, and the latency counts from when the operation was due.
func (s *session) begin(due, now time.Time) {
	if s.schedule.idle {
		s.shard.late(due, now.Sub(due))
		due = now
	}
	s.schedule.idle = false
	s.schedule.taken()
	s.dueAt.Store(s.schedule.nextDue.UnixNano())
	s.due, s.schedule.began = due, due
}

// takeDue returns the time from which the first command of an operation counts. For later commands it is the zero
// time, which means now.
func (s *session) takeDue() time.Time {
	due := s.due
	s.due = time.Time{}
	return due
}

// endOperation records the outcome of an operation.
func (s *session) endOperation(err error) {
	took := time.Since(s.schedule.began)
	s.settle()
	judged := s.engine.inTime(err, s.script.row(), took)
	result := outcomeOf(judged)
	if result.good() && s.spoilt {
		result = outcomeFailed
	}
	s.spoilt = false
	s.shard.record(s.script.row(), s.schedule.began, took, result)
	if judged != nil {
		s.report(judged)
	}
	if err == nil {
		s.pause = 0
		return
	}
	var f *failure
	if errors.As(err, &f) && f.kind.keeps() {
		return
	}
	s.disconnect()
	if !s.script.stays() {
		s.rest()
	}
}

func (s *session) credential() credential { return s.engine.options.credential(s.user) }

// report counts an error that occurs now.
func (s *session) report(err error) { s.reportOf(time.Now(), err) }

// reportOf counts an error at a time.
func (s *session) reportOf(at time.Time, err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{KindProtocol, s.script.row(), err}
	}
	s.shard.wrong(f.kind, s.user.Name+": "+shown(f.Error(), s.credential()), at)
}

// wrong reports an answer that cannot be correct. The session continues, and the command of the row has failed.
func (s *session) wrong(kind Kind, r row, format string, args ...any) {
	s.spoilt = true
	for c := range s.conns { // only this goroutine changes it
		if c.spoil(r) {
			break
		}
	}
	s.report(failed(kind, r, format, args...))
}

// leave ends the session normally.
func (s *session) leave() {
	s.leaving.Store(true)
	if s.main != nil {
		if err := s.signOut(); err != nil {
			s.report(err)
		}
	}
	s.disconnect()
	for _, due := range s.schedule.leftover(s.engine.endedAt) {
		s.neverBegun(due, s.engine.endedAt)
	}
}

// signOut cleans up and sends LOGOUT. A server that has ended the session before is an error.
func (s *session) signOut() error {
	if err := s.lookBack(); err != nil {
		return err
	}
	if s.joined {
		s.engine.atEnd.Add(1)
	}
	s.quieten() // leaving is not measured
	if err := s.script.tearDown(s); err != nil {
		return err
	}
	return s.main.command(rowLogout, "", time.Time{}, nil)
}

// sleep waits. It returns false if the run ends before that.
func (s *session) sleep(d time.Duration) bool {
	if s.timer == nil {
		s.timer = time.NewTimer(d)
	} else {
		s.timer.Reset(d)
	}
	select {
	case <-s.timer.C:
		return true
	case <-s.engine.over:
		s.timer.Stop()
		return false
	}
}
