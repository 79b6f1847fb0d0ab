package proxy

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// logPause is the shortest time between two log lines of a kind that strangers, or a lasting fault, can cause often.
const logPause = time.Minute

// LogLimiter allows one log line of each kind in logPause. The zero value is ready; it is safe for concurrent use. If
// there are more kinds than maxKinds, it forgets all of them.
type LogLimiter[K comparable] struct {
	mu   sync.Mutex
	last map[K]logged
}

type logged struct {
	loggedAt time.Time
	leftOut  int // since then
}

// maxKinds bounds the memory of a LogLimiter.
const maxKinds = 1000

// Due says whether a line of a kind may be logged now, and how many were left out since the last one. If it returns
// true, the line counts as logged.
func (s *LogLimiter[K]) Due(kind K, now time.Time) (leftOut int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.last[kind]
	if known && now.Sub(last.loggedAt) < logPause {
		last.leftOut++
		s.last[kind] = last
		return 0, false
	}
	if s.last == nil || len(s.last) >= maxKinds && !known {
		s.last = make(map[K]logged)
	}
	s.last[kind] = logged{loggedAt: now}
	return last.leftOut, true
}

// warningLimiter decides which outcomes without a sign-in are logged as warnings.
type warningLimiter struct{ LogLimiter[Outcome] }

// event begins a log line without a sign-in, at the level of the outcome's row. If the same warning was logged lately,
// the level is debug. A warning says how many like it were left out before it. If limited is true, the line is limited
// already: no other limit applies to it.
func (w *warningLimiter) event(log zerolog.Logger, o Outcome, now time.Time) (event *zerolog.Event, limited bool) {
	level := o.row().level
	if level != zerolog.WarnLevel {
		return log.WithLevel(level), false
	}
	leftOut, ok := w.Due(o, now)
	if !ok {
		return log.Debug(), false
	}
	event = log.Warn()
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	return event, true
}
