package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/complete"
	"portico/backend/directory"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/setup"
)

// farDirectory takes its time, and puts everybody in the one database.
type farDirectory struct{ latency time.Duration }

func (d farDirectory) Lookup(ctx context.Context, _ directory.Query) (directory.Entry, error) {
	select {
	case <-time.After(d.latency):
		return directory.Entry{Database: "db1"}, nil
	case <-ctx.Done():
		return directory.Entry{}, ctx.Err()
	}
}

// BenchmarkSignIn signs in without a directory, with one whose answers are remembered, and with one of 20 ms that
// nobody has asked before: of-bound is the part that is reached of what its 8 questions at once allow, where that is
// the less.
func BenchmarkSignIn(b *testing.B) {
	const latency, inFlight, clients = 20 * time.Millisecond, 8, 32
	far := func() directory.Source {
		bounded := directory.NewBound(inFlight, 30*time.Second, setup.Away).Source(farDirectory{latency})
		cached, err := directory.NewCache(bounded, directory.CacheOptions{Positive: time.Hour, Negative: time.Minute,
			Size: 1 << 20, Now: time.Now, Wait: setup.Away})
		if err != nil {
			b.Fatal(err)
		}
		return cached
	}
	for name, of := range map[string]struct {
		source func() directory.Source
		users  int // 0 for another each time
	}{"static": {func() directory.Source { return nil }, 100}, "warm": {far, 100}, "cold": {far, 0}} {
		b.Run(name, func(b *testing.B) {
			address := benchFrontEnd(b, of.source())
			var next atomic.Int64
			user := func() string {
				n := next.Add(1)
				if of.users > 0 {
					n %= int64(of.users)
				}
				return fmt.Sprintf("user%d", n)
			}
			for range of.users { // and so the cache is warm
				signInOnce(b, address, user())
			}
			b.SetParallelism(clients / 2)
			b.ReportAllocs()
			b.ResetTimer()
			began := time.Now()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					signInOnce(b, address, user())
				}
			})
			rate := float64(b.N) / time.Since(began).Seconds()
			b.ReportMetric(rate, "sign-ins/s")
			if name == "cold" {
				b.ReportMetric(rate/(inFlight/latency.Seconds()), "of-bound")
			}
		})
	}
}

// benchDoor starts a proxy in front of a sink and returns its address.
func benchFrontEnd(b *testing.B, source directory.Source) string {
	b.Helper()
	tier := complete.Tier(b, backend.Options{
		Servers: []backend.ServerOptions{{Name: "mbx1",
			Addresses: []string{testkit.Serve(b, backendtest.NewSink(nil))}}},
		Databases: []backend.DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
		Directory: source,
		Upstream:  proxy.Upstream{Dialer: setup.Dialer{Dialer: &net.Dialer{KeepAlive: -1}}},
	})
	carrier, err := relay.New(complete.Relay(relay.Options{}))
	if err != nil {
		b.Fatal(err)
	}
	server, err := proxy.New(completed(proxy.Options{
		Settings: proxy.Settings{Tier: tier, LoginType: proxy.PlainTextLogin}, Relay: carrier, SigninThreads: 1,
	}))
	if err != nil {
		b.Fatal(err)
	}
	ln := testkit.Listen(b)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln, proxy.Listener{Name: "bench"}) }()
	b.Cleanup(func() {
		server.Close()
		<-served
	})
	return ln.Addr().String()
}

// signInOnce connects, signs in and hangs up.
func signInOnce(b *testing.B, address, user string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetLinger(0) // no TIME_WAIT: ports would run out
	fmt.Fprintf(conn, "a LOGIN %s secret\r\n", user)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "a ") {
			if !strings.HasPrefix(lines.Text(), "a OK") {
				b.Error(lines.Text())
			}
			return
		}
	}
	b.Error("the connection ended")
}
