package proxy

import (
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Limits of the log lines about one client address and one outcome: a number at once, and then one in each pause. The
// limits for sign-ins are higher, since programs such as fail2ban count these lines.
const (
	linesAtOnce   = 10
	linePause     = 10 * time.Second
	signInsAtOnce = 100
	signInPause   = time.Second

	// maxLineKinds bounds memory. Beyond it, all further addresses share what one has.
	maxLineKinds = 10_000
	// linesForget: after this silence, a line of its own reports how many lines were left out.
	linesForget = time.Minute
)

// lineLimiter limits how many log lines strangers can cause. The zero value is ready; it is safe for concurrent use.
type lineLimiter struct {
	mu     sync.Mutex
	counts map[lineKind]*lineCount
}

type lineKind struct {
	from    netip.Prefix // an IPv4 address or an IPv6 /64; the zero value is everybody else
	outcome Outcome
	signIn  bool
}

// lineCount has the tokens that a kind has left. It is dropped when all tokens are back.
type lineCount struct {
	tokens
	leftOut int
}

// take reports whether a line may be written, and how many of its kind were left out before it.
func (l *lineLimiter) take(from netip.Addr, o Outcome, signIn bool, now time.Time) (leftOut int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := lineKind{addressKey(from), o, signIn}
	count := l.counts[kind]
	if count == nil && len(l.counts) >= maxLineKinds {
		kind.from = netip.Prefix{}
		count = l.counts[kind]
	}
	if count == nil {
		count = &lineCount{tokens: full(kind.rate(), now)}
		if l.counts == nil {
			l.counts = make(map[lineKind]*lineCount)
		}
		l.counts[kind] = count
	}
	count.refill(now)
	if count.left < 1 {
		count.leftOut++
		return 0, false
	}
	count.left--
	leftOut, count.leftOut = count.leftOut, 0
	return leftOut, true
}

func (k lineKind) rate() rate {
	if k.signIn {
		return rate{signInsAtOnce, 1 / signInPause.Seconds()}
	}
	return rate{linesAtOnce, 1 / linePause.Seconds()}
}

// report logs how many lines were left out, for each kind that has been silent for linesForget, or for every kind if
// all is true. It drops the kinds that have all their tokens back.
func (l *lineLimiter) report(log zerolog.Logger, now time.Time, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, count := range l.counts {
		silence := now.Sub(count.updatedAt)
		if count.leftOut > 0 && (all || silence >= linesForget) {
			from := "others"
			if kind.from.IsValid() {
				from = kind.from.String()
			}
			log.Info().Str("from", from).Stringer("result", kind.outcome).Int("left_out", count.leftOut).
				Msg("log lines about a client suppressed")
			count.leftOut = 0
		}
		if silence >= linesForget && count.isFull(now) {
			delete(l.counts, kind)
		}
	}
}

// keepLines reports until the server is closed.
func (s *Server) keepLines() {
	tick := time.NewTicker(linesForget)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.lines.report(s.opt.Log, s.opt.Now(), false)
		case <-s.closed:
			s.lines.report(s.opt.Log, s.opt.Now(), true)
			return
		}
	}
}
