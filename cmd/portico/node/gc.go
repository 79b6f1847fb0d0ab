package node

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Only signing in makes garbage, relaying none. So the collector's usual measure, a share of what is alive, does not
// fit: a front end with few sessions would collect after each hundred sign-ins, and one with many keep megabytes of
// garbage for hours.
const (
	// Between two collections there may be the garbage of this number of set-ups, within bounds in bytes; with many
	// sessions it may be gcPercent of what is alive. What a set-up leaves differs tenfold, by TLS for the most part.
	// The more set-ups, the cheaper they are, and the wider sessions lie scattered among what was garbage. It is so
	// only after a few seconds of sign-ins: for fewer, more memory costs more than it spares.
	setupsToCollect = 560
	leastSlack      = 4 << 20
	usualSlack      = 8 << 20 // after a quiet time
	mostSlack       = 24 << 20
	enoughSeen      = 25 // set-ups in garbageTick
	gcPercent       = 30
	// When things have been quiet for some ticks, so much garbage and empty room is worth a collection, in bytes and
	// as a share of what is alive: then what all collections cost does not depend on how much that is.
	worthBytes = 128 << 10
	worthShare = 16
	// quietRate is how much is allocated in garbageTick while things are quiet, in bytes: a sign-in now and then.
	// Memory given back sooner than after quietTicks has to be got again for the next sign-ins, page by page.
	quietRate   = 128 << 10
	quietTicks  = 4
	garbageTick = 500 * time.Millisecond
)

// keepTidy sets when garbage is collected, until ctx ends. setups returns how many clients have connected so far. If
// the environment sets GOGC, keepTidy does nothing. It affects the whole process.
func keepTidy(ctx context.Context, setups func() uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	slack, percent, had := uint64(usualSlack), percentFor(0, usualSlack), setups()
	debug.SetGCPercent(percent)
	tick := time.NewTicker(garbageTick)
	defer tick.Stop()
	h := newHeap()
	before, quiet := h.read(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			seen, have := h.read(), setups()
			slack, had = slackFor(have-had, seen.allocated-before.allocated, slack), have
			// it stops the world
			if p := percentFor(seen.live, slack); p < percent-percent/8 || p > percent+percent/8 {
				percent = p
				debug.SetGCPercent(percent)
			}
			if quiet++; !seen.quietSince(before) {
				quiet = 0
			}
			if quiet >= quietTicks && seen.worthCollecting() {
				debug.FreeOSMemory()
				seen, slack = h.read(), usualSlack
			}
			before = seen
		}
	}
}

// slackFor brings the garbage that there may be nearer to what set-ups of the kind just seen call for; too few change
// nothing.
func slackFor(setups, allocated, slack uint64) uint64 {
	if setups < enoughSeen {
		return slack
	}
	return (3*slack + min(max(setupsToCollect*allocated/setups, leastSlack), mostSlack)) / 4
}

// percentFor returns the percentage that lets the heap grow by slack, or by gcPercent if that is more.
func percentFor(live, slack uint64) int {
	const least = 4 << 20 // the runtime takes no heap for smaller
	return max(gcPercent, int(100*slack/max(live, least)))
}

// heapState is the heap as the runtime counts it, in bytes.
type heapState struct {
	live      uint64 // when it was last collected
	objects   uint64 // alive or garbage
	empty     uint64 // kept from the system for what is to come
	allocated uint64 // since the start
}

// quietSince says whether hardly anything has been allocated since a tick ago.
func (s heapState) quietSince(before heapState) bool { return s.allocated-before.allocated < quietRate }

func (s heapState) worthCollecting() bool {
	return s.objects+s.empty > s.live+max(worthBytes, s.live/worthShare)
}

// heap reads heapState.
type heap struct{ samples [4]metrics.Sample }

func newHeap() *heap {
	h := &heap{}
	for i, name := range []string{
		"/gc/heap/live:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes",
		"/gc/heap/allocs:bytes",
	} {
		h.samples[i].Name = name
	}
	return h
}

func (h *heap) read() heapState {
	metrics.Read(h.samples[:])
	value := func(i int) uint64 { return h.samples[i].Value.Uint64() }
	return heapState{live: value(0), objects: value(1), empty: value(2), allocated: value(3)}
}
