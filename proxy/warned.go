package proxy

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// logPause is the time between two log lines of the same kind that a stranger can cause at will.
const logPause = time.Minute

// seldom remembers when lines of each kind were logged last. The zero value is ready; it is safe for concurrent use. Kinds are
// few: the caller sees to that.
type seldom[K comparable] struct {
	mu   sync.Mutex
	last map[K]time.Time
}

// due says whether a line of a kind is to be logged now, and counts it as logged then.
func (s *seldom[K]) due(kind K, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, known := s.last[kind]; known && now.Sub(at) < logPause {
		return false
	}
	if s.last == nil {
		s.last = make(map[K]time.Time)
	}
	s.last[kind] = now
	return true
}

// warned decides which outcomes without a sign-in are logged as warnings.
type warned struct{ seldom[Outcome] }

// level returns the level of a log line without a sign-in: that of the outcome's row, or debug for a warning that was given
// lately.
func (w *warned) level(o Outcome, now time.Time) zerolog.Level {
	level := o.row().level
	if level == zerolog.WarnLevel && !w.due(o, now) {
		return zerolog.DebugLevel
	}
	return level
}
