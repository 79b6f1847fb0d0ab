package bench

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// target is a target on loopback.
func target(t testing.TB, addr string) Target {
	t.Helper()
	resolved, err := Resolve(t.Context(), net.DefaultResolver, addr, false)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// startSink starts a sink.
func startSink(t testing.TB, config *tls.Config) string {
	return testkit.Serve(t, backendtest.NewSink(config))
}

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := LoadProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// someUsers are users with the password secret.
func someUsers(names ...string) []User {
	var users []User
	for _, name := range names {
		users = append(users, User{name, "secret"})
	}
	return users
}

// BenchmarkNoop shows what the tool itself can do: the sink answers as fast as it can.
func BenchmarkNoop(b *testing.B) {
	for _, sessions := range []int{1, 50} {
		b.Run("", func(b *testing.B) {
			o := Options{
				Targets: []Target{target(b, startSink(b, nil))}, Users: someUsers("user"), Profile: profile(b, "noop"),
				Sessions: sessions, Duration: 2 * time.Second, Closed: true,
			}
			report, err := Run(context.Background(), o)
			if err != nil {
				b.Fatal(err)
			}
			report.WriteTable(os.Stdout)
			b.ReportMetric(report.Totals.CommandsPerSecond, "commands/s")
		})
	}
}
