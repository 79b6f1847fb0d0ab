package history

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"portico/proxy/relay"
)

// busySite has servers that all do something of each verb in each interval, with server times of all kinds.
type busySite struct {
	*site
	histograms []*relay.Histogram
	random     *rand.Rand
}

func newBusySite(limit, servers, verbs int) *busySite {
	b := &busySite{site: newSite(limit), random: rand.New(rand.NewPCG(1, 2))}
	for i := range servers {
		of := b.counts.Of(Server, fmt.Sprintf("mailbox-server-%03d", i))
		of.Sessions, of.Queued = 1000, 3
		for v := range verbs {
			h := new(relay.Histogram)
			of.Commands[fmt.Sprintf("VERB%02d", v)] = h
			b.histograms = append(b.histograms, h)
		}
	}
	return b
}

// work counts a dozen commands of each verb.
func (b *busySite) work() {
	for _, h := range b.histograms {
		usual := 200e3 * (1 + b.random.ExpFloat64())
		for range 12 {
			h.Observe(int64(usual * (1 + b.random.ExpFloat64())))
		}
	}
}

// With 200 servers and 30 verbs that are all in use, the history never takes more than its limit, the latest minutes
// have all samples, older ones are coarser, and no command is lost before the oldest samples are.
func TestBound(t *testing.T) {
	// An eighth of the limit and of the time, where the same rules apply. A whole hour takes half a minute of two busy
	// processors even without the race detector; BenchmarkHour fills it.
	const limit, records = 2 << 20, 90
	b := newBusySite(limit, 200, 30)
	for range records {
		b.work()
		b.record(Interval)
		if used := b.bytes + b.names.bytes; used > limit {
			t.Fatalf("%d bytes", used)
		}
	}
	all := b.windows(Query{Since: Length, Step: Interval, Rows: 1})
	oldest, latest := all[0], all[len(all)-1]
	if span := latest.From - latest.To; span != Interval || latest.To != 0 {
		t.Errorf("the latest window has %v, up to %v ago", span, latest.To)
	}
	if span := oldest.From - oldest.To; span != coarsest {
		t.Errorf("the oldest window has %v", span)
	}
	if oldest.From < 3*time.Minute {
		t.Errorf("the history goes back %v", oldest.From)
	}
	for i, w := range all {
		if want := uint64(12 * 30 * ((w.From - w.To) / Interval)); w.Rows["mailbox-server-000"].Times.Count != want {
			t.Errorf("window %d: %d commands, want %d", i, w.Rows["mailbox-server-000"].Times.Count, want)
		}
		if i > 0 && w.From != all[i-1].To {
			t.Errorf("window %d begins %v ago, the one before ends %v ago", i, w.From, all[i-1].To)
		}
	}
}

// A limit that takes no sample at all leaves an empty history.
func TestTinyBound(t *testing.T) {
	b := newBusySite(100, 20, 3)
	b.work()
	b.record(Interval)
	if len(b.samples) != 0 || b.bytes != 0 || len(b.windows(Query{Since: Length})) != 0 {
		t.Errorf("%d samples, %d bytes", len(b.samples), b.bytes)
	}
}

// BenchmarkRecord records a site after each interval, and reports what the history takes after an hour.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []struct{ servers, verbs int }{{3, 10}, {200, 30}} {
		b.Run(fmt.Sprintf("%dx%d", size.servers, size.verbs), func(b *testing.B) {
			s := newBusySite(16<<20, size.servers, size.verbs)
			var counts [2]Counts
			for i := range counts {
				s.work()
				counts[i] = make(Counts)
				for g, c := range s.counts {
					to := counts[i].Of(g.Kind, g.Name)
					for verb, h := range c.Commands {
						kept := *h
						to.Commands[verb] = &kept
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				s.now += int64(Interval)
				s.History.before = counts[0]
				s.Record(s.now, counts[1])
			}
			b.ReportMetric(float64(s.bytes)/float64(len(s.samples)), "B/sample")
		})
	}
}

// BenchmarkHour answers a question about an hour of a big site.
func BenchmarkHour(b *testing.B) {
	s := newBusySite(16<<20, 200, 30)
	for range 720 {
		s.work()
		s.record(Interval)
	}
	for name, q := range map[string]Query{
		"servers": {Since: Length}, "series": {Since: Length, Step: 10 * time.Second, Rows: 20},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.windows(q)
			}
			b.ReportMetric(float64(s.bytes), "B/hour")
			b.ReportMetric(time.Duration(s.end-s.samples[0].end+s.samples[0].span).Minutes(), "minutes")
		})
	}
}
