package protolog_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/complete"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/setup"
	"portico/proxy/wire"
	"portico/sleep"
)

// testProxy is a proxy with signed-in users who send commands.
type testProxy struct {
	log     *protolog.Log
	clients []net.Conn
	lines   []*bufio.Reader
}

// startProxy starts a proxy with signed-in sessions, in front of a server that answers at once. Its protocol log
// writes to a folder of the test's.
func startProxy(b *testing.B, server string, enabled bool, sessions int, before func(*protolog.Log)) *testProxy {
	b.Helper()
	log, err := protolog.New(protolog.Options{Loops: 1, Settings: protolog.Settings{
		Enabled: enabled, Files: protolog.FileSettings{Location: b.TempDir() + "/log", RollOver: protolog.Monthly},
	}})
	if err != nil {
		b.Fatal(err)
	}
	if before != nil {
		before(log)
	}
	tier := complete.Tier(b, backend.Options{
		Servers:   []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server}}},
		Databases: []backend.DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
		Upstream:  proxy.Upstream{Dialer: setup.Dialer{Dialer: &net.Dialer{KeepAlive: -1}}},
	})
	carrier, err := relay.New(complete.Relay(relay.Options{Watch: proxy.Watch(log)}))
	if err != nil {
		b.Fatal(err)
	}
	s, err := proxy.New(proxy.Options{
		Relay: carrier, ProtocolLog: log, SigninThreads: 1, Random: rand.Reader, Now: time.Now, Sleep: sleep.For,
		Settings: proxy.Settings{
			Tier: tier, LoginType: proxy.PlainTextLogin, Banner: "Ready.",
			Limits: proxy.Limits{
				BadCommands: 10, FailedSignIns: 3,
				Commands: wire.Limits{Line: 1 << 10, Literal: 1 << 10, Command: 1 << 10, SASL: 1 << 10},
			},
			Timeouts: proxy.Timeouts{
				Handshake: time.Minute, Idle: time.Minute, SetUp: time.Minute, Write: time.Minute,
			},
			AuthDelay: proxy.AuthDelayOptions{Forget: time.Hour},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ln := testkit.Listen(b)
	go s.Serve(ln, proxy.Listener{})
	d := &testProxy{log: log}
	b.Cleanup(func() {
		for _, c := range d.clients {
			c.Close()
		}
		s.Close()
		log.Close()
	})
	for i := range sessions {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		d.clients, d.lines = append(d.clients, conn), append(d.lines, bufio.NewReader(conn))
		if _, err := d.lines[i].ReadString('\n'); err != nil {
			b.Fatal(err)
		}
		if err := d.do(i, fmt.Sprintf("LOGIN user%d x", i)); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

// do has one session do a command.
func (d *testProxy) do(i int, command string) error {
	if _, err := fmt.Fprintf(d.clients[i], "a %s\r\n", command); err != nil {
		return err
	}
	for {
		line, err := d.lines[i].ReadString('\n')
		if err != nil || strings.HasPrefix(line, "a OK") {
			return err
		}
	}
}

// p99 has each session do a number of commands, side by side, and returns the 99th percentile of their latencies.
func (d *testProxy) p99(b *testing.B, each int) time.Duration {
	all := make([]time.Duration, len(d.clients)*each)
	var working sync.WaitGroup
	for i := range d.clients {
		working.Go(func() {
			for n := range each {
				began := time.Now()
				if err := d.do(i, "NOOP"); err != nil {
					b.Error(err)
					return
				}
				all[i*each+n] = time.Since(began)
			}
		})
	}
	working.Wait()
	slices.Sort(all)
	return all[len(all)*99/100]
}

// BenchmarkStalledDisk prints how much longer the slowest hundredth of commands takes while the protocol log is on for
// everybody and the disk hangs, beside a disk that does not, and beside a log that is off.
func BenchmarkStalledDisk(b *testing.B) {
	server := testkit.Serve(b, backendtest.NewSink(nil))
	hang := make(chan struct{})
	const sessions = 2
	off := startProxy(b, server, false, sessions, nil)
	on := startProxy(b, server, true, sessions, nil)
	stalled := startProxy(b, server, true, sessions, func(l *protolog.Log) { l.Stall(hang) })
	b.Cleanup(func() { close(hang) })
	took := make(map[*testProxy][]float64)
	for b.Loop() {
		for round := range 15 {
			proxies := []*testProxy{off, on, stalled}
			for i := range proxies {
				d := proxies[(i+round)%len(proxies)]
				took[d] = append(took[d], float64(d.p99(b, 2000).Microseconds()))
			}
		}
	}
	median := func(d *testProxy) float64 {
		sorted := slices.Sorted(slices.Values(took[d]))
		return sorted[len(sorted)/2]
	}
	b.ReportMetric(median(off), "us-off")
	b.ReportMetric(median(on), "us-on")
	b.ReportMetric(median(stalled), "us-stalled")
	b.ReportMetric(median(stalled)/median(on), "stalled/on")
	b.ReportMetric(median(stalled)/median(off), "stalled/off")
	b.ReportMetric(0, "ns/op") // means nothing here
}
