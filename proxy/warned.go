package proxy

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// warnPause is how long after a warning the same outcome is no warning: a stranger can open connections at will.
const warnPause = time.Minute

// warned remembers when each outcome without a sign-in was last logged as a warning.
type warned struct {
	mu   sync.Mutex
	last [numOutcomes]time.Time
}

// level returns the level of a log line without a sign-in: that of the outcome's row, or debug for a warning that was given lately.
func (w *warned) level(o Outcome, now time.Time) zerolog.Level {
	level := o.row().level
	if level == zerolog.WarnLevel && !w.due(o, now) {
		return zerolog.DebugLevel
	}
	return level
}

// due says whether an outcome is to be logged as a warning now.
func (w *warned) due(o Outcome, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := w.last[o]; !at.IsZero() && now.Sub(at) < warnPause {
		return false
	}
	w.last[o] = now
	return true
}
