package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds, to three digits, up to an hour.
const (
	maxLatency    = time.Hour
	latencyDigits = 3
)

// shardCount is how many recorders sessions are spread over, so that they do not wait for each other.
const shardCount = 8

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency.Microseconds(), latencyDigits)
}

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	h.RecordValue(min(max(d.Microseconds(), 1), maxLatency.Microseconds())) // within bounds: it cannot fail
}

// recorder gathers what sessions see.
type recorder struct {
	shards [shardCount]shard
}

// shard is the part of a recorder that some of the sessions share.
type shard struct {
	mu        sync.Mutex
	measuring bool
	rows      [numRows]*hdrhistogram.Histogram
	rowErrors [numRows]uint64
	measured  [numRows]uint64         // of them in the measured time
	delay     *hdrhistogram.Histogram // how late we began operations by our own fault
	totals    totals
	kinds     [numKinds]errorSamples
	recent    tick
	_         [64]byte // shards do not share a cache line
}

// totals only ever grow, in the measured time and before it.
type totals struct {
	Commands, Operations, Errors uint64
	In, Out                      uint64 // bytes
	SignIns                      uint64
	Reconnects                   uint64
	Abandoned                    uint64 // operations that were due and never begun
	Unfinished                   uint64 // commands that were cut at the end
}

func (t *totals) add(o totals) {
	t.Commands += o.Commands
	t.Operations += o.Operations
	t.Errors += o.Errors
	t.In += o.In
	t.Out += o.Out
	t.SignIns += o.SignIns
	t.Reconnects += o.Reconnects
	t.Abandoned += o.Abandoned
	t.Unfinished += o.Unfinished
}

func (t totals) minus(o totals) totals {
	return totals{
		t.Commands - o.Commands, t.Operations - o.Operations, t.Errors - o.Errors, t.In - o.In, t.Out - o.Out,
		t.SignIns - o.SignIns, t.Reconnects - o.Reconnects, t.Abandoned - o.Abandoned, t.Unfinished - o.Unfinished,
	}
}

// errorSamples counts the errors of one kind and keeps the first few.
type errorSamples struct {
	count   uint64
	samples []string
}

const maxSamples = 5

// tick is what happened since the last one.
type tick struct {
	latencies *hdrhistogram.Histogram // of commands
	commands  uint64
	errors    uint64
	in, out   uint64
}

func newRecorder() *recorder {
	r := &recorder{}
	for i := range r.shards {
		s := &r.shards[i]
		s.recent.latencies, s.delay = newHistogram(), newHistogram()
	}
	return r
}

// done records one command, part of a sign-in or operation that ended or was given up.
func (s *shard) done(r row, d time.Duration, isError bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.command() {
		s.totals.Commands++
		s.recent.commands++
		observe(s.recent.latencies, d)
	}
	if r >= rowOpNoop {
		s.totals.Operations++
	}
	if r == rowSignIn {
		s.totals.SignIns++
	}
	if s.measuring {
		s.measured[r]++
	} else if !ofSignIn(r) {
		return
	}
	if s.rows[r] == nil {
		s.rows[r] = newHistogram()
	}
	observe(s.rows[r], d)
	if isError {
		s.rowErrors[r]++
	}
}

// ofSignIn reports whether a row is kept from the start of a run, not only while it measures: sessions sign in before that.
func ofSignIn(r row) bool { return r <= rowSignIn }

// wrong counts an error.
func (s *shard) wrong(kind Kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.Errors++
	s.recent.errors++
	k := &s.kinds[kind]
	if k.count++; len(k.samples) < maxSamples {
		k.samples = append(k.samples, text)
	}
}

// wrongRow counts a wrong answer to a command that was OK.
func (s *shard) wrongRow(r row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measuring {
		s.rowErrors[r]++
	}
}

// moved counts bytes.
func (s *shard) moved(in, out uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.In += in
	s.totals.Out += out
	s.recent.in += in
	s.recent.out += out
}

func (s *shard) count(what *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what++
}

func (s *shard) late(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	observe(s.delay, d)
}

// measure starts or stops keeping latencies, and returns the totals at that moment.
func (r *recorder) measure(on bool) totals {
	var sum totals
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.measuring = on
		sum.add(s.totals)
		s.mu.Unlock()
	}
	return sum
}

// drain adds what happened since the last call to t.
func (r *recorder) drain(t *tick) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		t.latencies.Merge(s.recent.latencies)
		t.commands += s.recent.commands
		t.errors += s.recent.errors
		t.in += s.recent.in
		t.out += s.recent.out
		s.recent.latencies.Reset()
		s.recent = tick{latencies: s.recent.latencies}
		s.mu.Unlock()
	}
}

// results is everything that was recorded, merged.
type results struct {
	rows      [numRows]*hdrhistogram.Histogram // nil where nothing happened
	rowErrors [numRows]uint64
	measured  [numRows]uint64
	delay     *hdrhistogram.Histogram
	totals    totals
	kinds     [numKinds]errorSamples
}

func (r *recorder) results() *results {
	all := &results{delay: newHistogram()}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for row, h := range s.rows {
			if h == nil {
				continue
			}
			if all.rows[row] == nil {
				all.rows[row] = newHistogram()
			}
			all.rows[row].Merge(h)
			all.rowErrors[row] += s.rowErrors[row]
			all.measured[row] += s.measured[row]
		}
		all.delay.Merge(s.delay)
		all.totals.add(s.totals)
		for kind := range s.kinds {
			from, to := &s.kinds[kind], &all.kinds[kind]
			to.count += from.count
			to.samples = append(to.samples, from.samples...)
			to.samples = to.samples[:min(len(to.samples), maxSamples)]
		}
		s.mu.Unlock()
	}
	return all
}
