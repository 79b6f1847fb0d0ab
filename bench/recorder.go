package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// shardCount is the number of shards that sessions are spread over, so that they do not wait for each other.
const shardCount = 8

// phase is the phase of a run.
type phase uint8

const (
	phaseBefore phase = iota // sessions sign in
	phaseWarmUp              // operations run and do not count
	phaseMeasuring
	phaseAfter // running operations have the grace to end
)

// recorder collects what sessions measure.
type recorder struct {
	shards [shardCount]shard
}

// shard is the part of a recorder that some of the sessions share.
type shard struct {
	intervals  bool // rows of recent are wanted
	mu         sync.Mutex
	phase      phase
	warmUp     warmUp
	rows       [numRows]*rowRecord     // nil where nothing happened
	delay      *hdrhistogram.Histogram // how late the tool itself began operations; nil is empty
	in, out    uint64                  // bytes in the measured time
	wire       [2]uint64               // likewise, in and out, compressed
	reconnects uint64
	kinds      [numKinds]errorSamples
	recent     tick
	_          [64]byte // shards do not share a cache line
}

// errorSamples counts the errors of one kind and keeps the first few.
type errorSamples struct {
	count   uint64
	samples []string
}

const maxSamples = 5

// tick holds the counts since the previous tick.
type tick struct {
	latencies *hdrhistogram.Histogram // of commands that were answered; nil is empty
	done      uint64                  // commands
	errors    uint64
	in, out   uint64
	rows      [numRows]intervalRow // what counts in the report
}

// newRecorder returns a recorder. Without intervals, its ticks have no rows.
func newRecorder(intervals bool) *recorder {
	r := &recorder{}
	for i := range r.shards {
		r.shards[i].intervals = intervals
	}
	return r
}

// ended records that a command, a part of a sign-in or an operation has ended now.
func (s *shard) ended(r row, began time.Time, o outcome) { s.record(r, began, time.Since(began), o) }

// record notes the outcome of one command, part of a sign-in or operation. If it ended well, d is its latency,
// otherwise the time that the session waited for it. It belongs to the warm-up if it began there.
func (s *shard) record(r row, began time.Time, d time.Duration, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o == outcomeDone && s.phase == phaseAfter {
		o = outcomeDoneAfter
	}
	if r.command() && (o.good() || o == outcomeRefused) {
		observe(&s.recent.latencies, d)
		if o.good() {
			s.recent.done++
		}
	}
	phase := s.phaseOf(began)
	if phase == phaseWarmUp {
		s.warmUp.record(r, o)
		return
	}
	if phase == phaseBefore && !ofSignIn(r) {
		return
	}
	if s.rows[r] == nil {
		s.rows[r] = &rowRecord{}
	}
	s.rows[r].record(d, o, phase == phaseBefore)
	if s.intervals {
		s.recent.rows[r].record(d, o)
	}
}

// ofSignIn reports whether a row counts from the start of a run, because sessions sign in before the measured time.
func ofSignIn(r row) bool { return r <= rowSignIn }

// wrong counts an error at a time.
func (s *shard) wrong(kind Kind, text string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.errors++
	if s.phaseOf(at) == phaseWarmUp {
		s.warmUp.errors++
		return
	}
	k := &s.kinds[kind]
	if k.count++; len(k.samples) < maxSamples {
		k.samples = append(k.samples, text)
	}
}

// moved counts bytes.
func (s *shard) moved(in, out uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseMeasuring {
		s.in += in
		s.out += out
	}
	s.recent.in += in
	s.recent.out += out
}

// movedCompressed counts bytes of compressed connections as they are on the wire.
func (s *shard) movedCompressed(in, out uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseMeasuring {
		s.wire[0] += in
		s.wire[1] += out
	}
}

// reconnected counts a session that signs in again.
func (s *shard) reconnected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseWarmUp {
		s.reconnects++
	}
}

// late records how late the tool began an operation that was due at a time.
func (s *shard) late(due time.Time, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phaseOf(due) != phaseWarmUp {
		observe(&s.delay, d)
	}
}

// enter begins a phase.
func (r *recorder) enter(p phase) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.phase = p
		s.mu.Unlock()
	}
}

// drain adds what happened since the last call to t. It may replace the histogram in t.
func (r *recorder) drain(t *tick) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		switch recent := s.recent.latencies; {
		case recent == nil || recent.TotalCount() == 0:
		case t.latencies.TotalCount() == 0: // an exchange costs less than a merge
			t.latencies, s.recent.latencies = recent, t.latencies
		default:
			t.latencies.Merge(recent)
			recent.Reset()
		}
		t.done += s.recent.done
		t.errors += s.recent.errors
		t.in += s.recent.in
		t.out += s.recent.out
		for row := range s.recent.rows {
			s.recent.rows[row].moveTo(&t.rows[row])
		}
		s.recent = tick{latencies: s.recent.latencies, rows: s.recent.rows}
		s.mu.Unlock()
	}
}

// operations returns how many operations of the measured time have ended, well or not.
func (r *recorder) operations() (ended uint64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for of, record := range s.rows {
			if record != nil && row(of).operation() {
				sum := record.measured.sum()
				ended += sum.All - sum.NeverBegun
			}
		}
		s.mu.Unlock()
	}
	return ended
}

// results holds all records, merged.
type results struct {
	rows       [numRows]*rowRecord // nil where nothing happened
	delay      *hdrhistogram.Histogram
	in, out    uint64
	wire       [2]uint64
	reconnects uint64
	kinds      [numKinds]errorSamples
	warmUp     warmUp
}

func (r *recorder) results() *results {
	all := &results{delay: newHistogram()}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for row, record := range s.rows {
			if record == nil {
				continue
			}
			if all.rows[row] == nil {
				all.rows[row] = &rowRecord{}
			}
			all.rows[row].merge(record)
		}
		all.delay = merged(all.delay, s.delay)
		all.in += s.in
		all.out += s.out
		all.wire[0] += s.wire[0]
		all.wire[1] += s.wire[1]
		all.reconnects += s.reconnects
		all.warmUp.add(&s.warmUp)
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

// measured adds up the outcomes of the measured time over the rows that want selects.
func (all *results) measured(want func(row) bool) (sum outcomeCounts) {
	for i, record := range all.rows {
		if record != nil && want(row(i)) {
			sum.add(record.measured)
		}
	}
	return sum
}

// commands returns the latencies of all commands that were done.
func (all *results) commands() *hdrhistogram.Histogram {
	sum := newHistogram()
	for i, record := range all.rows {
		if record != nil && row(i).command() {
			sum = merged(sum, record.done)
		}
	}
	return sum
}
