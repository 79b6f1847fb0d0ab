package history

import (
	"bytes"
	"slices"
	"sync"
	"time"
)

const (
	// Interval is how often Record is to be called.
	Interval = 5 * time.Second
	// Length is how far back the history goes.
	Length = time.Hour
	// coarsest is the span of the oldest samples if memory is short.
	coarsest = time.Minute
	// overhead is what a sample takes beside its data, in bytes.
	overhead = 64
)

// History has the samples of the last hour, within a limit of memory (trim). It has no goroutine: whoever owns it calls
// Record. It is safe for concurrent use.
type History struct {
	limit int // of bytes

	mu      sync.Mutex
	names   names
	samples []sample // the oldest first; their data does not change
	bytes   int      // of all samples
	before  Counts
	end     int64  // of the last sample
	scratch []byte // of Record
}

// New returns an empty history that takes limit bytes at most, beside the counters of the last Record. start is the
// time since which counters count.
func New(limit int, start int64) *History {
	return &History{limit: limit, end: start, names: names{numbers: make(map[string]uint64)}}
}

// Record adds what was counted since the last call. It keeps now, which must not change any more. Nothing happens
// unless time has passed.
func (h *History) Record(at int64, now Counts) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at <= h.end {
		return
	}
	h.scratch = h.scratch[:0]
	for g, c := range now {
		h.scratch = h.names.encode(h.scratch, g, difference{c, h.before[g]})
	}
	s := sample{end: at, span: at - h.end, data: bytes.Clone(h.scratch)}
	h.samples = append(h.samples, s)
	h.bytes += len(s.data) + overhead
	h.before, h.end = now, at
	h.trim()
}

// trim drops samples of more than Length ago, and makes the others fit the limit.
func (h *History) trim() {
	for len(h.samples) > 0 && h.samples[0].end <= h.end-int64(Length) {
		h.replace(0, 1)
	}
	for len(h.samples) > 0 && h.bytes+h.names.bytes > h.limit {
		if !h.coarsen() {
			h.replace(0, 1)
		}
	}
}

// coarsen merges the oldest samples that together span coarsest at most. It returns false if there are none.
func (h *History) coarsen() bool {
	for i := range h.samples {
		span, n := h.samples[i].span, 1
		for i+n < len(h.samples) && span+h.samples[i+n].span <= int64(coarsest) {
			span += h.samples[i+n].span
			n++
		}
		if n > 1 {
			h.replace(i, n, h.names.merge(h.samples[i:i+n]))
			return true
		}
	}
	return false
}

// replace replaces n samples from number i.
func (h *History) replace(i, n int, with ...sample) {
	for _, s := range h.samples[i : i+n] {
		h.bytes -= len(s.data) + overhead
	}
	for _, s := range with {
		h.bytes += len(s.data) + overhead
	}
	h.samples = slices.Replace(h.samples, i, i+n, with...)
}
