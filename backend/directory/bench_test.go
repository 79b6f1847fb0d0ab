package directory

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkCache is the answer to a user who is remembered.
func BenchmarkCache(b *testing.B) {
	cache := cached(b, source(func(context.Context, Query) (Entry, error) { return Entry{Database: "db1"}, nil }),
		CacheOptions{})
	b.ReportAllocs()
	for b.Loop() {
		cache.Lookup(b.Context(), Query{User: "ann@example.org"})
	}
}

// BenchmarkCold is a lookup of a user who is not remembered, in a directory that takes 20 ms, by twice as many
// sign-ins as may ask at once. What it can be at best is its latency shared by those who may.
func BenchmarkCold(b *testing.B) {
	const latency, inFlight = 20 * time.Millisecond, 64
	slow := source(func(context.Context, Query) (Entry, error) {
		time.Sleep(latency)
		return Entry{Database: "db1"}, nil
	})
	cache := cached(b, NewBound(inFlight, time.Minute, here).Source(slow), CacheOptions{})
	var users, failed atomic.Int64
	b.SetParallelism(2 * inFlight)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			user := strconv.FormatInt(users.Add(1), 10)
			if _, err := cache.Lookup(context.Background(), Query{User: user}); err != nil {
				failed.Add(1)
			}
		}
	})
	if failed.Load() > 0 {
		b.Errorf("%d of %d lookups failed", failed.Load(), b.N)
	}
	if best := latency / inFlight; b.N > 10*inFlight {
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(best), "of-best")
	}
}
