package relay

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"portico/proxy/wire"
)

// Result is how a command ended.
type Result uint8

// The results: the server's status, or that the session ended first.
const (
	ResultOK Result = iota
	ResultNO
	ResultBAD
	ResultAborted
	NumResults
)

var resultNames = [NumResults]string{"ok", "no", "bad", "aborted"}

// String returns the result as the metric label result.
func (r Result) String() string { return resultNames[r] }

// ClassicBounds are the upper bounds of Histogram.Classic, in seconds. They are few, because each is a series per verb
// and server.
var ClassicBounds = [...]float64{0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60}

// A native histogram's bucket boundaries are powers of 2^(1/4) seconds (Prometheus' schema 2), from 2^-17 s, 8 us, to
// 2^12 s.
const (
	NativeSchema = 2
	perOctave    = 1 << NativeSchema
	lowestExp    = -17
	highestExp   = 12
	numNative    = (highestExp-lowestExp)*perOctave + 1
	// NativeOffset is the index that Prometheus gives to Histogram.Native[0].
	NativeOffset = lowestExp * perOctave
)

// nativeBounds[i] is the upper bound of native bucket i in nanoseconds; nativeStart[n] is the first bucket that may
// hold a number of n bits.
var nativeBounds, nativeStart = func() (bounds [numNative]int64, start [65]uint8) {
	for i := range bounds {
		bounds[i] = int64(1e9 * math.Exp2(float64(NativeOffset+i)/perOctave))
	}
	for n := range start {
		for start[n] < numNative-1 && n > 0 && bounds[start[n]] < 1<<min(n-1, 62) {
			start[n]++
		}
	}
	return bounds, start
}()

var classicBounds = func() (bounds [len(ClassicBounds)]int64) {
	for i, seconds := range ClassicBounds {
		bounds[i] = int64(seconds * 1e9)
	}
	return bounds
}()

// Histogram counts durations in classic and native buckets at once. The zero value is empty.
type Histogram struct {
	Count   uint64
	Sum     int64                          // nanoseconds
	Classic [len(ClassicBounds) + 1]uint64 // the last one is for all above; not cumulative
	Native  [numNative]uint64              // the outermost ones also take what lies beyond
}

// Observe counts a duration in nanoseconds.
func (h *Histogram) Observe(ns int64) {
	ns = max(ns, 0)
	classic, native := bucketsOf(ns)
	h.observe(ns, classic, native)
}

// observe is Observe for a duration whose buckets are known.
func (h *Histogram) observe(ns int64, classic, native int) {
	h.Count++
	h.Sum += ns
	h.Classic[classic]++
	h.Native[native]++
}

// bucketsOf returns the indexes of a duration's buckets.
func bucketsOf(ns int64) (classic, native int) {
	for classic < len(classicBounds) && ns > classicBounds[classic] {
		classic++
	}
	native = int(nativeStart[bits.Len64(uint64(ns))])
	for native < numNative-1 && ns > nativeBounds[native] {
		native++
	}
	return classic, native
}

// Add counts all of another histogram.
func (h *Histogram) Add(o *Histogram) {
	h.Count += o.Count
	h.Sum += o.Sum
	for i := range h.Classic {
		h.Classic[i] += o.Classic[i]
	}
	for i := range h.Native {
		h.Native[i] += o.Native[i]
	}
}

// Quantile returns the duration that a share q of the observed ones do not exceed, such as 0.99; 0 if there are none.
// It interpolates in the native bucket, whose bounds are 19 % apart (2^(1/4)): the error is smaller than that.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, below := q*float64(h.Count), 0.0
	for i, n := range h.Native {
		if n == 0 {
			continue
		}
		if below+float64(n) >= rank {
			share := max(rank-below, 0) / float64(n)
			return time.Duration(1e9 * math.Exp2((float64(NativeOffset+i-1)+share)/perOctave))
		}
		below += float64(n)
	}
	return 0
}

// Traffic is what is counted alike for mailbox servers, databases and listeners.
type Traffic struct {
	Sessions    int64
	Queued      int64  // commands begun and not ended
	ClientBytes uint64 // read from clients
	ServerBytes uint64 // read from mailbox servers
}

func (t *Traffic) add(o Traffic) {
	t.Sessions += o.Sessions
	t.Queued += o.Queued
	t.ClientBytes += o.ClientBytes
	t.ServerBytes += o.ServerBytes
}

// ServerStats is what is counted per mailbox server.
type ServerStats struct {
	Commands [wire.NumVerbs]*Histogram // server time of each verb; nil before its first command
	Results  [wire.NumVerbs][NumResults]uint64
	Traffic
	Opaque int64 // sessions that Portico can no longer interpret

	Throttled        uint64 // times that a client was not read since its user had sent too many commands
	Intercepted      uint64 // commands answered by the proxy
	LongCapabilities uint64 // capability lists too long to be filtered

	slow *[wire.NumVerbs]*slowest // nil before the first slow command; never copied
	pool *commandPool             // of its loop; never copied
}

// Observe counts a finished command.
func (s *ServerStats) Observe(v wire.Verb, r Result, ns int64) {
	s.commands(v).Observe(ns)
	s.Results[v][r]++
}

// commands returns the histogram of a verb. It makes it if it does not exist.
func (s *ServerStats) commands(v wire.Verb) *Histogram {
	if s.Commands[v] == nil {
		s.Commands[v] = new(Histogram)
	}
	return s.Commands[v]
}

// copyTo makes a deep copy. It uses the memory of the histograms that to has already.
func (s *ServerStats) copyTo(to *ServerStats) {
	histograms := to.Commands
	*to = *s
	to.slow, to.pool = nil, nil
	for v, h := range s.Commands {
		if h == nil {
			continue
		}
		if histograms[v] == nil {
			histograms[v] = new(Histogram)
		}
		*histograms[v] = *h
		to.Commands[v] = histograms[v]
	}
}

func (s *ServerStats) add(o *ServerStats) {
	for v, h := range o.Commands {
		if h != nil {
			s.commands(wire.Verb(v)).Add(h)
		}
	}
	for v := range s.Results {
		for r := range s.Results[v] {
			s.Results[v][r] += o.Results[v][r]
		}
	}
	s.Traffic.add(o.Traffic)
	s.Opaque += o.Opaque
	s.Throttled += o.Throttled
	s.Intercepted += o.Intercepted
	s.LongCapabilities += o.LongCapabilities
}

// Stats has a relay's counters. Each loop owns one, and counts without lock or atomic; Relay.Stats merges copies. The
// set-up of sessions uses one too, with server "".
type Stats struct {
	Servers     map[string]*ServerStats
	Databases   map[string]*GroupStats
	Listeners   map[string]*GroupStats
	Ended       [numReasons]uint64
	WakeupDelay Histogram // from when a loop should have woken to when it ran
	Panics      uint64

	IOUringLoops int64 // event loops that receive and send by IOUring

	counters map[counterNames]*counters // of the sessions so far; never copied
}

// NewStats returns empty statistics.
func NewStats() *Stats {
	return &Stats{Servers: make(map[string]*ServerStats), Databases: make(map[string]*GroupStats),
		Listeners: make(map[string]*GroupStats)}
}

// Server returns the statistics of one server. It makes them if they do not exist.
func (s *Stats) Server(name string) *ServerStats {
	if s.Servers[name] == nil {
		s.Servers[name] = new(ServerStats)
	}
	return s.Servers[name]
}

// copyTo makes a deep copy. It uses the memory that to has from an earlier copy, so that it allocates nothing and the
// loop stops only for the time to copy the bytes. Servers, databases and listeners are never removed.
func (s *Stats) copyTo(to *Stats) {
	kept := *to
	*to = *s
	to.Servers, to.Databases, to.Listeners, to.counters = kept.Servers, kept.Databases, kept.Listeners, nil
	for name, server := range s.Servers {
		server.copyTo(to.Server(name))
	}
	for name, group := range s.Databases {
		*groupOf(to.Databases, name) = *group
	}
	for name, group := range s.Listeners {
		*groupOf(to.Listeners, name) = *group
	}
}

// Clone returns a deep copy.
func (s *Stats) Clone() *Stats {
	c := NewStats()
	s.copyTo(c)
	return c
}

// Add counts all of another's.
func (s *Stats) Add(o *Stats) {
	for name, server := range o.Servers {
		s.Server(name).add(server)
	}
	addGroups(s.Databases, o.Databases)
	addGroups(s.Listeners, o.Listeners)
	for r := range s.Ended {
		s.Ended[r] += o.Ended[r]
	}
	s.WakeupDelay.Add(&o.WakeupDelay)
	s.Panics += o.Panics
	s.IOUringLoops += o.IOUringLoops
}

// ServerNames returns the names in order.
func (s *Stats) ServerNames() []string { return slices.Sorted(maps.Keys(s.Servers)) }

// Reasons returns how many sessions have ended, by reason.
func (s *Stats) Reasons() map[Reason]uint64 {
	ended := make(map[Reason]uint64, numReasons)
	for r, n := range s.Ended {
		ended[Reason(r)] = n
	}
	return ended
}
