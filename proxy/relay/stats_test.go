package relay

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"portico/proxy/wire"
)

func TestHistogramPutsEachDurationInItsBuckets(t *testing.T) {
	for _, ns := range []int64{-5, 0, 1, 999, 1000, 7629, 7630, 7631, 1e6, 1e6 + 1, 5e6, 25e6, 1e8, 3e8, 1e9, 1e9 + 1,
		25e8, 1e10, 6e10, 6e10 + 1,
		4096e9, 4097e9, math.MaxInt64} {
		var h Histogram
		h.Observe(ns)
		value := float64(max(ns, 0)) / 1e9
		classic := 0
		for classic < len(ClassicBounds) && value > ClassicBounds[classic] {
			classic++
		}
		native := 0
		for native < numNative-1 && value > math.Exp2(float64(NativeOffset+native)/perOctave) {
			native++
		}
		if h.Classic[classic] != 1 {
			t.Errorf("%d ns is not in classic bucket %d: %v", ns, classic, h.Classic)
		}
		if h.Native[native] != 1 && h.Native[max(native-1, 0)] != 1 { // on a bound, the last digit decides
			t.Errorf("%d ns is not in native bucket %d: %v", ns, native, h.Native)
		}
		if h.Count != 1 || h.Sum != max(ns, 0) {
			t.Errorf("%d ns: count %d, sum %d", ns, h.Count, h.Sum)
		}
	}
}

// A quantile is at most one bucket away from the exact one: 2^(1/4), 19 %.
func TestQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("of nothing it is not 0")
	}
	all := make([]float64, 5000)
	for i := range all {
		all[i] = 1e6 * math.Exp(2*random.NormFloat64())
		h.Observe(int64(all[i]))
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		exact := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
		if got := float64(h.Quantile(q)); got > exact*1.19 || got < exact/1.19 {
			t.Errorf("%v: %v, exactly %v", q, time.Duration(got), time.Duration(exact))
		}
	}
	var once Histogram
	once.Observe(1e9)
	if got := once.Quantile(0.99); got > time.Second || got < 990*time.Millisecond {
		t.Errorf("of 1s: %v", got)
	}
}

func TestEveryNativeBucketIsReached(t *testing.T) {
	for i := range numNative {
		var h Histogram
		h.Observe(nativeBounds[i])
		if h.Native[i] != 1 {
			t.Errorf("the upper bound of bucket %d, %v, is not in it", i, time.Duration(nativeBounds[i]))
		}
	}
}

// fill returns statistics in which everything was counted n times.
func fill(n uint64) *Stats {
	s := NewStats()
	server := s.Server("mbx1")
	for range n {
		server.Observe(wire.VerbNoop, ResultOK, 1e6)
		s.WakeupDelay.Observe(5)
	}
	server.Queued, server.ClientBytes, server.ServerBytes, server.Sessions, server.Opaque = int64(n), n, n,
		int64(n), int64(n)
	server.Intercepted, server.LongCapabilities, server.Throttled = n, n, n
	of := s.countersOf(Session{Server: "mbx1", Database: "db1", Listener: ":143"})
	of.addClientBytes(int(n))
	of.addSessions(int64(n))
	for range n {
		of.observe(wire.VerbFetch, ResultNO, 2e6)
	}
	s.counters = nil // it is the loop's own
	s.Ended[ReasonIdle], s.Panics = n, n
	return s
}

// What an earlier process has counted since the present one follows it is the difference, but for what is open now.
func TestStatsOfAnEarlierProcess(t *testing.T) {
	told := func(s *Stats) *Stats {
		text, err := json.Marshal(s)
		read := new(Stats)
		if err := errors.Join(err, json.Unmarshal(text, read)); err != nil {
			t.Fatal(err)
		}
		return read
	}
	open := func(s *Stats, n int64) *Stats { // of the process, not of sessions: not told
		s.WakeupDelay, s.Panics = Histogram{}, 0
		server := s.Server("mbx1")
		server.Queued, server.Sessions, server.Opaque = n, 2*n, n
		s.Databases["db1"].Sessions, s.Listeners[":143"].Sessions = n, n
		return s
	}
	base, now := told(fill(2)), told(fill(5))
	got := now.Since(base)
	if want := open(fill(3), 5); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	got.ForgetOpen()
	if want := open(fill(3), 0); !reflect.DeepEqual(got, want) {
		t.Errorf("ended: got\n%+v\nwant\n%+v", got, want)
	}
	var later Stats // a verb that this version does not know
	err := json.Unmarshal([]byte(`{"servers":{"s":{"commands":{"XYZ":{"time":{"Count":2}}}}},"ended":{"xyz":1}}`), &later)
	if h := later.Server("s").Commands[wire.VerbOther]; err != nil || h == nil || h.Count != 2 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestStatsAddAndCopy(t *testing.T) {
	sum := fill(2)
	sum.Add(fill(3))
	if want := fill(5); !reflect.DeepEqual(sum, want) {
		t.Errorf("2 and 3 make\n%+v\nwant\n%+v", sum, want)
	}
	copied := sum.Clone()
	sum.Add(fill(1))
	sum.Server("mbx2").Observe(wire.VerbFetch, ResultNO, 1)
	if !reflect.DeepEqual(copied, fill(5)) {
		t.Error("a copy changes with what it was copied from")
	}
	if names := sum.ServerNames(); !reflect.DeepEqual(names, []string{"mbx1", "mbx2"}) {
		t.Errorf("names %v", names)
	}
	if n := sum.Reasons()[ReasonIdle]; n != 6 {
		t.Errorf("%d ended for idleness", n)
	}
}

func TestEveryReasonAndResultHasAName(t *testing.T) {
	seen := make(map[string]bool)
	for r := range numReasons {
		seen[r.String()] = true
	}
	for r := range NumResults {
		seen[r.String()] = true
	}
	if len(seen) != int(numReasons)+int(NumResults) || seen[""] {
		t.Errorf("names %v", seen)
	}
}

func TestBytesAreCountedAfterTLS(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a NOOP\n")
		tk.server.hears("a NOOP\n")
		tk.server.say("* 1 EXISTS\na OK\n")
		tk.client.hears("* 1 EXISTS\na OK\n")
		s := r.server()
		if s.ClientBytes != 8 || s.ServerBytes != 18 || s.Sessions != 1 || s.Results[wire.VerbNoop][ResultOK] != 1 {
			t.Errorf("%d and %d bytes, %d sessions, results %v", s.ClientBytes, s.ServerBytes, s.Sessions,
				s.Results[wire.VerbNoop])
		}
		tk.client.Close()
		tk.server.Close()
		if e := tk.end(); e.ClientBytes != 8 || e.ServerBytes != 18 || e.Commands != 1 {
			t.Errorf("ended with %+v", e)
		}
		r.relay.Close()
		if n := r.server().Results[wire.VerbNoop][ResultOK]; n != 1 {
			t.Errorf("after Close %d are left of 1 command", n)
		}
	})
}
