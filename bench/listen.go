package bench

import (
	"context"
	"errors"
	"os"
	"time"
)

// lastLook is how long a session looks for a message of the server before it leaves.
const lastLook = 50 * time.Millisecond

// keep waits until a time, or until done is closed. Without a time it waits for done alone. Meanwhile it reads what the
// server sends. If the server ends the session, the session signs in again, and keep returns before the time. It
// returns false if the session could not sign in until the run was over.
func (s *session) keep(ctx context.Context, done <-chan struct{}, until time.Time) bool {
	s.schedule.idle = true
	if s.main == nil {
		s.sleepUntil(done, until)
		return true
	}
	err := s.listen(s.main, done, until)
	if err == nil {
		return true
	}
	s.schedule.idle = false
	s.report(err)
	s.disconnect()
	return !s.script.stays() || s.join(ctx)
}

// listen reads what the server sends on a connection of which the session expects nothing, until a time or until done
// is closed. A server that ends the session, or sends what no session waits for, is an error.
func (s *session) listen(c *clientConn, done <-chan struct{}, until time.Time) error {
	for s.beginListening(c, done, until) {
		err := c.in.await()
		s.endListening()
		switch {
		case err == nil:
			if err := c.overhear(s.rowOf(c)); err != nil {
				return err
			}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return c.giveUp(broken(s.rowOf(c), err))
		}
	}
	return nil
}

// rowOf returns the row that a session's wait belongs to: IDLE, or whole operations.
func (s *session) rowOf(c *clientConn) row {
	if len(c.pending) > 0 {
		return c.pending[0].row
	}
	return s.script.row()
}

// beginListening makes the connection's deadline the end of the wait. It returns false if the wait is over. The engine
// can end it by wake from then on.
func (s *session) beginListening(c *clientConn, done <-chan struct{}, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isClosed(done) || !until.IsZero() && !time.Now().Before(until) {
		return false
	}
	c.deadline = until
	c.conn.SetReadDeadline(until)
	s.listening = c
	return true
}

func (s *session) endListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listening = nil
}

// wake has a session that listens look whether its wait is over. Safe for concurrent use.
func (s *session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening != nil {
		s.listening.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// lookBack reads what the server has sent on the session's connections until now.
func (s *session) lookBack() error {
	until := time.Now().Add(lastLook)
	if err := s.listen(s.main, nil, until); err != nil {
		return err
	}
	for c := range s.conns { // only this goroutine changes it
		if c == s.main {
			continue
		}
		if err := s.listen(c, nil, until.Add(lastLook)); err != nil {
			return err
		}
	}
	return nil
}

// sleepUntil waits until a time, or until done is closed. Without a time it waits for done alone.
func (s *session) sleepUntil(done <-chan struct{}, until time.Time) {
	if until.IsZero() {
		<-done
		return
	}
	s.sleep(time.Until(until))
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
