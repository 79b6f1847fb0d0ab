package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stallingServer answers at once, except that it answers nothing between two moments.
type stallingServer struct{ from, to time.Time }

func (s *stallingServer) dial(context.Context, netip.Addr, *Target) (net.Conn, error) {
	client, server := net.Pipe()
	go s.serve(server)
	return client, nil
}

func (s *stallingServer) serve(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "* OK hello\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if now := time.Now(); now.After(s.from) && now.Before(s.to) {
			time.Sleep(s.to.Sub(now))
		}
		tag, _, _ := strings.Cut(lines.Text(), " ")
		fmt.Fprintf(conn, "%s OK done\r\n", tag)
	}
}

// runStalled runs for ten seconds, on a clock of its own, against a server that stalls.
func runStalled(t *testing.T, from, to time.Duration, change func(*Options)) *Report {
	var report *Report
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		server := &stallingServer{now.Add(from), now.Add(to)}
		o := Options{
			Targets: []Target{{Name: "stalling"}}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
			Dial:     server.dial,
			Sessions: 1, Rate: 100, Duration: 10 * time.Second, Timeout: time.Minute,
		}
		change(&o)
		report = mustRun(t, o)
		time.Sleep(2 * time.Hour) // the server ends its stall
	})
	return report
}

func near(us int64, want time.Duration) bool {
	off := time.Duration(us)*time.Microsecond - want
	return max(off, -off) <= 50*time.Millisecond
}

// TestStallShows: at 100 a second, 200 requests of 1000 are due while the server stalls for 2 s. They wait from 0 to 2
// s.
func TestStallShows(t *testing.T) {
	r := runStalled(t, 4*time.Second, 6*time.Second, func(*Options) {})
	noop := r.rowOf("NOOP")
	if noop.Count < 999 || noop.Count > 1001 || noop.P50 > 1000 || !near(noop.P90, time.Second) ||
		!near(noop.P99, 1900*time.Millisecond) ||
		!near(noop.Max, 2*time.Second) || r.Loop.MostBehind < 150 ||
		r.Totals.OperationOutcomes.NeverBegun != 0 || !r.Fine() {
		t.Errorf("an open loop shows:\n%s", table(r))
	}
	if r.rowOf("noop, whole").P99 != noop.P99 {
		t.Errorf("operations and their only commands differ:\n%s", table(r))
	}
	stalled := slices.DeleteFunc(slices.Clone(r.Series), func(p Point) bool { return !near(p.Max, 2*time.Second) })
	if len(stalled) != 1 || stalled[0].P50 < 900_000 || stalled[0].P99 < 1_900_000 {
		t.Errorf("points of the series that show it: %+v", stalled)
	}
}

// TestDrain: each latency is in one tick, whichever shards have them.
func TestDrain(t *testing.T) {
	r, recent := newRecorder(false), newHistogram()
	r.enter(phaseMeasuring)
	for _, shards := range [][]int{{0}, {}, {0, 3}, {3}, {1, 2, 3}, {}} {
		for _, shard := range shards {
			r.shards[shard].record(rowNoop, time.Now(), time.Duration(shard+1)*time.Second, outcomeDone)
		}
		recent.Reset()
		now := tick{latencies: recent}
		r.drain(&now)
		recent = now.latencies
		if recent.TotalCount() != int64(len(shards)) || now.done != uint64(len(shards)) {
			t.Errorf("%d latencies and %d commands of shards %v", recent.TotalCount(), now.done, shards)
		}
	}
}

// TestStallAtTheEnd: what was due and not answered, or never sent, is in the percentiles all the same.
func TestStallAtTheEnd(t *testing.T) {
	r := runStalled(t, 8*time.Second, time.Hour, func(*Options) {})
	whole := r.rowOf("noop, whole")
	if whole.Count < 999 || whole.Count > 1001 || !near(whole.P90, time.Second) ||
		r.Totals.OperationOutcomes.NeverBegun < 190 || r.Totals.OperationOutcomes.Unfinished != 1 {
		t.Errorf("an open loop shows:\n%s", table(r))
	}
}

// TestStallInClosedLoop is why the open loop is the default: here it is one slow request of very many.
func TestStallInClosedLoop(t *testing.T) {
	r := runStalled(t, 4*time.Second, 6*time.Second, func(o *Options) {
		o.Closed, o.Rate = true, 0
		slow := o.Dial
		o.Dial = func(ctx context.Context, source netip.Addr, target *Target) (net.Conn, error) {
			conn, err := slow(ctx, source, target)
			return slowConn{conn}, err
		}
	})
	if noop := r.rowOf("NOOP"); noop.P99 > 20_000 || !near(noop.Max, 2*time.Second) {
		t.Errorf("a closed loop shows:\n%s", table(r))
	}
}

// slowConn makes each command take time, since on a clock of its own a closed loop would never end.
type slowConn struct{ net.Conn }

func (c slowConn) Write(b []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return c.Conn.Write(b)
}

// TestBacklogIsBounded: of more operations than may be due, the oldest are given up, counted, and in the
// percentiles.
func TestBacklogIsBounded(t *testing.T) {
	r := runStalled(t, 4*time.Second, 6*time.Second, func(o *Options) { o.Backlog = 50 })
	whole := r.rowOf("noop, whole")
	never := r.Totals.OperationOutcomes.NeverBegun
	if never < 140 || never > 155 || whole.Count < 999 ||
		!near(whole.P99, 1900*time.Millisecond) {
		t.Errorf("it shows:\n%s", table(r))
	}
}

// TestServerThatNeverGreets: a run ends, and says what it has not done.
func TestServerThatNeverGreets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := mustRun(t, Options{
			Targets: []Target{{Name: "mute"}}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
			Sessions: 2, Rate: 10,
			Duration: 5 * time.Second, Timeout: time.Hour,
			Dial: func(context.Context, netip.Addr, *Target) (net.Conn, error) {
				client, _ := net.Pipe()
				return client, nil
			},
		})
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		if r.Totals.OperationOutcomes.NeverBegun != 50 || r.rowOf("noop, whole").Count != 50 {
			t.Errorf("it shows:\n%s", table(r))
		}
	})
}

// TestInterrupted: what was measured until then is reported, of the time it took.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		server := &stallingServer{}
		r, err := Run(ctx, Options{
			Targets: []Target{{Name: "good"}}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
			Dial:     server.dial,
			Sessions: 1, Rate: 10, Duration: time.Hour,
		})
		if err != nil || r.Seconds < 2.9 || r.Seconds > 3.1 || r.Totals.Commands < 29 || r.Totals.Commands > 31 {
			t.Errorf("%v\n%s", err, table(r))
		}
	})
}
