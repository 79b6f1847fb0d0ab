package proxy

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"portico/proxy/relay"
	"portico/proxy/wire"
)

// relayCollector shows relay.Stats as metrics. It asks for a merged copy at each scrape and keeps nothing, so that
// counting costs the loops no lock.
type relayCollector struct {
	stats func() *relay.Stats

	duration, queued, results, sessions, opaque, bytes, ended, wakeup, throttled, intercepted, longLists,
	panics, batching *prometheus.Desc
}

func newRelayCollector(stats func() *relay.Stats) *relayCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("portico_"+name, help, labels, nil)
	}
	return &relayCollector{
		stats: stats,
		duration: desc("command_duration_seconds",
			"Server time of completed commands: from the last byte of the command to the answer. It includes waits "+
				"for \"+\" and excludes waits for the client.", "command", "server"),
		queued: desc("requests_queued",
			"Commands in progress, without IDLE commands that wait for mail.", "server"),
		results:  desc("command_results_total", "Completed commands by result.", "command", "server", "result"),
		sessions: desc("server_sessions", "Signed-in sessions by mailbox server.", "server"),
		opaque: desc("sessions_unjudged", "Open sessions that are opaque: relayed without tracking their commands.",
			"server"),
		bytes: desc("relay_bytes_total",
			"Bytes relayed after sign-in, without TLS overhead, by sender.", "direction", "server"),
		ended: desc("sessions_ended_total", "Ended signed-in sessions, by reason.", "reason"),
		wakeup: desc("loop_wakeup_delay_seconds",
			"Wake-up delay of the event loops, measured ten times a second on each."),
		throttled: desc("sessions_throttled_total",
			"Times that a client was delayed because its user had sent too many commands.", "server"),
		intercepted: desc("commands_intercepted_total",
			"Commands after sign-in that Portico answered instead of the server.", "server"),
		longLists: desc("capability_lists_too_long_total",
			"Capability lists relayed unfiltered because they were too long.", "server"),
		panics:   desc("relay_panics_total", "Sessions ended by a panic in the relay."),
		batching: desc("loops_io_uring", "Event loops that use io_uring."),
	}
}

// Describe implements prometheus.Collector.
func (c *relayCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.duration, c.queued, c.results, c.sessions, c.opaque, c.bytes, c.ended, c.wakeup, c.throttled,
		c.intercepted, c.longLists, c.panics, c.batching,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *relayCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.stats()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	names := stats.ServerNames()
	if len(names) > manyServers {
		for _, server := range stats.Servers {
			foldRareVerbs(server)
		}
	}
	c.commands(ch, names, stats)
	for _, name := range names {
		server := stats.Servers[name]
		gauge(c.queued, server.Queued, name)
		if name == "" { // before sign-in there is nothing more to tell
			continue
		}
		gauge(c.sessions, server.Sessions, name)
		gauge(c.opaque, server.Opaque, name)
		counter(c.throttled, server.Throttled, name)
		counter(c.intercepted, server.Intercepted, name)
		counter(c.longLists, server.LongCapabilities, name)
		counter(c.bytes, server.ClientBytes, "client", name)
		counter(c.bytes, server.ServerBytes, "server", name)
	}
	for reason, n := range stats.Reasons() {
		counter(c.ended, n, reason.String())
	}
	ch <- histogramMetric{c.wakeup, &stats.WakeupDelay, nil}
	counter(c.panics, stats.Panics)
	gauge(c.batching, stats.IOUringLoops)
}

// commands collects the metrics per verb and server. There may be hundreds of series, so they come in the order of the
// page: sorting them is then fast.
func (c *relayCollector) commands(ch chan<- prometheus.Metric, names []string, stats *relay.Stats) {
	serverLabels := make([]*dto.LabelPair, len(names))
	for i, name := range names {
		serverLabels[i] = labelPair("server", name)
	}
	for _, v := range verbsByName {
		for i, name := range names {
			if h := stats.Servers[name].Commands[v]; h != nil {
				ch <- histogramMetric{c.duration, h, []*dto.LabelPair{verbLabels[v], serverLabels[i]}}
			}
		}
		for _, r := range resultsByName {
			for i, name := range names {
				if n := stats.Servers[name].Results[v][r]; n > 0 {
					ch <- &counterMetric{c.results, float64(n), []*dto.LabelPair{verbLabels[v],
						resultLabels[r], serverLabels[i]}}
				}
			}
		}
	}
}

// The labels that all servers' metrics share. Nobody writes to them.
var (
	verbLabels = func() (labels [wire.NumVerbs]*dto.LabelPair) {
		for v := range labels {
			labels[v] = labelPair("command", wire.Verb(v).String())
		}
		return labels
	}()
	resultLabels = func() (labels [relay.NumResults]*dto.LabelPair) {
		for r := range labels {
			labels[r] = labelPair("result", relay.Result(r).String())
		}
		return labels
	}()
	verbsByName   = byValue(verbLabels[:])
	resultsByName = byValue(resultLabels[:])
)

// byValue returns the indexes of labels in the order of their values.
func byValue(labels []*dto.LabelPair) []int {
	indexes := make([]int, len(labels))
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortFunc(indexes, func(a, b int) int { return strings.Compare(labels[a].GetValue(), labels[b].GetValue()) })
	return indexes
}

// counterMetric is a counter whose labels are made already, in order of their names.
type counterMetric struct {
	desc   *prometheus.Desc
	value  float64
	labels []*dto.LabelPair
}

// Desc implements prometheus.Metric.
func (m *counterMetric) Desc() *prometheus.Desc { return m.desc }

// Write implements prometheus.Metric.
func (m *counterMetric) Write(out *dto.Metric) error {
	out.Label, out.Counter = m.labels, &dto.Counter{Value: &m.value}
	return nil
}

// manyServers is from how many servers on the rarer verbs share the label "other", which keeps the number of series
// bounded.
const manyServers = 32

// commonVerbs are those that keep a label of their own even then.
var commonVerbs = [wire.NumVerbs]bool{
	wire.VerbAppend: true, wire.VerbFetch: true, wire.VerbIdle: true, wire.VerbList: true, wire.VerbNoop: true,
	wire.VerbSelect: true, wire.VerbStatus: true, wire.VerbUIDFetch: true, wire.VerbUIDSearch: true,
	wire.VerbUIDStore: true,
}

func foldRareVerbs(s *relay.ServerStats) {
	for v := range s.Commands {
		if commonVerbs[v] || wire.Verb(v) == wire.VerbOther {
			continue
		}
		if h := s.Commands[v]; h != nil {
			if s.Commands[wire.VerbOther] == nil {
				s.Commands[wire.VerbOther] = new(relay.Histogram)
			}
			s.Commands[wire.VerbOther].Add(h)
			s.Commands[v] = nil
		}
		for r, n := range s.Results[v] {
			s.Results[wire.VerbOther][r] += n
			s.Results[v][r] = 0
		}
	}
}

// histogramMetric is a relay.Histogram as a metric that is classic and native at once.
type histogramMetric struct {
	desc   *prometheus.Desc
	from   *relay.Histogram
	labels []*dto.LabelPair // in order of their names
}

// Desc implements prometheus.Metric.
func (m histogramMetric) Desc() *prometheus.Desc { return m.desc }

// zero and what else all histograms share.
var (
	zeroCount     = proto.Uint64(0)
	zeroThreshold = proto.Float64(0)
	nativeSchema  = proto.Int32(relay.NativeSchema)
)

// Write implements prometheus.Metric. There are hundreds of histograms in a scrape, so each is made of few pieces.
func (m histogramMetric) Write(out *dto.Metric) error {
	const n = len(relay.ClassicBounds)
	room := &struct {
		histogram dto.Histogram
		sum       float64
		counts    [n + 1]uint64
		buckets   [n]dto.Bucket
		list      [n]*dto.Bucket
	}{}
	h := &room.histogram
	room.sum = float64(m.from.Sum) / 1e9
	room.counts[n] = m.from.Count
	h.SampleSum, h.SampleCount = &room.sum, &room.counts[n]
	h.Schema, h.ZeroThreshold, h.ZeroCount = nativeSchema, zeroThreshold, zeroCount
	var below uint64
	for i := range relay.ClassicBounds {
		below += m.from.Classic[i]
		room.counts[i] = below
		room.buckets[i].CumulativeCount, room.buckets[i].UpperBound = &room.counts[i], &relay.ClassicBounds[i]
		room.list[i] = &room.buckets[i]
	}
	h.Bucket = room.list[:]
	addNative(h, m.from.Native[:])
	out.Label, out.Histogram = m.labels, h
	return nil
}

// addNative writes the used native buckets as spans with differences, as Prometheus wants them.
func addNative(h *dto.Histogram, buckets []uint64) {
	beginsSpan := func(i int) bool { return i == 0 || buckets[i-1] == 0 }
	used, spans := 0, 0
	for i, n := range buckets {
		if n == 0 {
			continue
		}
		used++
		if beginsSpan(i) {
			spans++
		}
	}
	if used == 0 { // an empty span distinguishes an empty native histogram from a classic one
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
		return
	}
	type span struct {
		dto.BucketSpan
		offset int32
		length uint32
	}
	room := make([]span, 0, spans)
	h.PositiveSpan = make([]*dto.BucketSpan, 0, spans)
	h.PositiveDelta = make([]int64, 0, used)
	next, before := int32(0), int64(0) // the index behind the last span; the last count
	for i, n := range buckets {
		if n == 0 {
			continue
		}
		index := int32(relay.NativeOffset + i)
		if beginsSpan(i) {
			room = append(room, span{offset: index - next})
			last := &room[len(room)-1]
			last.Offset, last.Length = &last.offset, &last.length
			h.PositiveSpan = append(h.PositiveSpan, &last.BucketSpan)
		}
		room[len(room)-1].length++
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-before)
		next, before = index+1, int64(n)
	}
}

func labelPair(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)}
}
