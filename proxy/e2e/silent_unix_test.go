//go:build unix

package e2e

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

// Ten thousand clients that say nothing keep nobody from signing in, are counted, and leave nothing behind.
func TestSilentClients(t *testing.T) {
	const count = 10_000
	needDescriptors(t, count+2_000)
	compressing.need(t)
	before := memory()
	f := startFrontEnd(t, options{servers: compressing.behind(backend.TLSImplicit), settings: proxy.Settings{
		Limits:   proxy.Limits{Unauthenticated: count + 1},
		Timeouts: proxy.Timeouts{Idle: time.Hour, Handshake: time.Hour, SetUp: time.Hour},
	}})
	stop := startSilent(t, count, f.plain, f.start, f.tls)
	signingIn := func() float64 { return f.metric("portico_sessions", "state", "signing_in") }
	testkit.Eventually(t, "all are counted", func() bool { return signingIn() == count })
	t.Logf("%d bytes of memory each", (memory()-before)/count)

	for _, w := range ways {
		began := time.Now()
		c := f.signIn(w, compressing.user(t, 1))
		c.Command("a", "SELECT INBOX")
		t.Logf("%s: sign-in took %v", w.name, time.Since(began).Round(time.Millisecond))
		c.Command("b", "LOGOUT")
	}
	last := []*testkit.Conn{f.dial(ways[0]), f.dial(ways[0])} // the second takes the place of a silent client
	gaveWay := func() float64 { return f.metric("portico_connections_total", "result", "gave_way") }
	testkit.Eventually(t, "one client gives way", func() bool { return gaveWay() == 1 })

	stop()
	for _, c := range last {
		c.Close()
	}
	f.gone()
	if n := f.metric("portico_connections_total", "result", "client_gone") + gaveWay(); n < count {
		t.Errorf("%v of %d counted as gone", n, count)
	}
	const slack = 16 << 20
	testkit.Eventually(t, "memory is given back", func() bool { return memory() < before+slack })
}

// memory returns how many bytes are in use, stacks included.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// needDescriptors skips the test where a process may not have enough.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if uint64(limit.Cur) < n {
		testkit.Lack(t, fmt.Errorf("%d descriptors a process: the limit is %d", n, limit.Cur))
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits proxy.Limits
		metric string
	}{
		{"connections", proxy.Limits{Connections: 3}, "max_connections"},
		{"connections of an address", proxy.Limits{ConnectionsPerAddress: 3}, "max_connection_from_single_ip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			f := startFrontEnd(t,
				options{servers: []backend.ServerOptions{{Name: "mbx1",
					Addresses: []string{testkit.Scripted(t, nil, accepts).Addr()}}},
					settings: proxy.Settings{Limits: tt.limits}})
			inside := f.dial(ways[0])
			f.dial(ways[1])
			f.dial(ways[2])
			for _, w := range ways[:2] {
				over := testkit.Dial(t, w.address(f), nil)
				over.Expect("* BYE [LIMIT] Too many connections.")
				over.ExpectEOF()
			}
			if over := dialStream(t, f.tls, nil); over != nil { // there, nothing can be said before TLS
				if said, end := over.rest(); said != "" || end != endEOF && end != endReset {
					t.Errorf("on the TLS port: told %q, %s", said, end)
				}
			}
			if n := f.metric("portico_connections_total", "result", tt.metric); n != 3 {
				t.Errorf("%v counted", n)
			}
			inside.Command("a", "LOGIN ada "+password)
			inside.Command("b", "LOGOUT")
			inside.Close()
			testkit.Eventually(t, "the place is free again", func() bool { return f.metric("portico_sessions") == 2 })
			f.signIn(ways[0], "ada").Command("b", "LOGOUT")
		})
	}
	t.Run("connections before sign-in", func(t *testing.T) {
		testkit.NoLeaks(t)
		f := startFrontEnd(t,
			options{servers: []backend.ServerOptions{{Name: "mbx1",
				Addresses: []string{testkit.Scripted(t, nil, accepts).Addr()}}},
				settings: proxy.Settings{Limits: proxy.Limits{Unauthenticated: 2}}})
		talks, silent := f.dial(ways[0]), f.dial(ways[0])
		talks.Command("a", "NOOP")
		f.signIn(ways[1], "ada")
		silent.Expect("* BYE [UNAVAILABLE]*")
		silent.ExpectEOF()
		if n := f.metric("portico_connections_total", "result", "gave_way"); n != 1 {
			t.Errorf("%v counted", n)
		}
		talks.Command("b", "LOGIN bob "+password)
	})
	t.Run("connections of a user", func(t *testing.T) {
		testkit.NoLeaks(t)
		f := startFrontEnd(t,
			options{servers: []backend.ServerOptions{{Name: "mbx1",
				Addresses: []string{testkit.Scripted(t, nil, accepts).Addr()}}},
				settings: proxy.Settings{Limits: proxy.Limits{ConnectionsPerUser: 1}}})
		first := f.signIn(ways[0], "ada")
		second := f.dial(ways[0])
		second.Send("a LOGIN ADA " + password)
		second.Expect("a NO [LIMIT] Too many connections of this user.")
		second.Command("b", "LOGIN bob "+password)
		first.Command("c", "LOGOUT")
		first.Close()
		testkit.Eventually(t, "the place is free again", func() bool { return f.metric("portico_sessions") == 1 })
		f.signIn(ways[0], "ada")
	})
}
