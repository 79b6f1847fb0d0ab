package node

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"portico/health/admin"
	"portico/proxy/history"
	"portico/proxy/wire"
)

// historySize bounds the figures of the last hour, in bytes.
const historySize = 16 << 20

// figures are what was counted in the last hour.
type figures struct {
	history *history.History
	counts  func() history.Counts
	now     func() int64
	latest  atomic.Int64 // when all event loops had answered last
}

// maxSilence is how long event loops may take to answer before Portico is not alive. A machine that is short of CPU
// is slow, and another process there would be no faster.
const maxSilence = time.Minute

// newFigures begins to count. The clock is the time of day, as it was at the start and from then on steadily, so that
// the windows of all nodes are the same.
func newFigures(counts func() history.Counts) *figures {
	start := time.Now()
	now := func() int64 { return start.UnixNano() + int64(time.Since(start)) }
	f := &figures{history: history.New(historySize, now()), counts: counts, now: now}
	f.latest.Store(now())
	return f
}

// run records at full multiples of the interval, until ctx ends.
func (f *figures) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(history.Interval - time.Duration(f.now()%int64(history.Interval))):
			f.history.Record(f.now(), f.counts())
			f.latest.Store(f.now())
		}
	}
}

// alive is what /livez asks. Counting asks each event loop, so a loop that hangs is silent here. That costs a request
// nothing, however many there are.
func (f *figures) alive() error {
	if silence := time.Duration(f.now() - f.latest.Load()); silence > maxSilence {
		return fmt.Errorf("an event loop has not answered for %s", silence.Truncate(time.Second))
	}
	return nil
}

// statsAPI implements admin.Stats.
type statsAPI struct{ s *service }

// Windows implements admin.Stats. In a single window, what is configured has a row also if nothing was counted.
func (c statsAPI) Windows(q history.Query) (iter.Seq[history.Window], error) {
	if q.Server != "" {
		if err := c.s.current().known(q.Server); err != nil {
			return nil, err
		}
	}
	if q.Verb != "" {
		verbs := append(wire.VerbNames(), wire.VerbOther.String())
		i := slices.IndexFunc(verbs, func(v string) bool { return strings.EqualFold(v, q.Verb) })
		if i < 0 {
			return nil, admin.NoSuch("command", q.Verb, verbs)
		}
		q.Verb = verbs[i]
	}
	windows := c.s.figures.history.Windows(q, c.s.figures.now())
	if q.Step > 0 {
		return windows, nil
	}
	return func(yield func(history.Window) bool) {
		for w := range windows {
			for _, name := range c.configured(q) {
				if w.Rows[name] == nil {
					w.Rows[name] = &history.Row{}
				}
			}
			yield(w)
		}
	}, nil
}

// configured lists the names of the rows that an answer has in any case.
func (c statsAPI) configured(q history.Query) (names []string) {
	tier := c.s.current().tier()
	switch q.By {
	case history.ByServer:
		if q.Server != "" {
			return []string{q.Server}
		}
		return tier.Servers()
	case history.ByDatabase:
		return tier.Databases()
	case history.ByListener:
		for _, l := range c.s.current().config.Listeners {
			names = append(names, l.Address)
		}
	}
	return names
}
