package bench

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// realProfiles are the built-in profiles for servers that keep mail.
var realProfiles = []string{"noop", "fetch", "phone", "desktop", "webmail", "bulk", "storm", "mixed"}

// small makes a profile light enough for a short test.
func small(p *Profile) *Profile {
	sizes := []WeightedSize{{Bytes: 500, Weight: 1}, {Bytes: 9000, Weight: 1}, {Bytes: 70_000, Weight: 1}}
	switch {
	case p.Fetch != nil:
		p.Fetch.Sizes, p.Fetch.Messages = sizes, 4
	case p.Phone != nil:
		p.Phone.Sizes, p.Phone.Keep = sizes, 2
	case p.Desktop != nil:
		p.Desktop.Sizes, p.Desktop.Messages = sizes, 3
	case p.Bulk != nil:
		p.Bulk.Sizes = sizes
	}
	for i := range p.Mixed {
		small(p.Mixed[i].profile)
	}
	return p
}

// TestProfiles runs every profile against servers that do nothing wrong, in both loops.
func TestProfiles(t *testing.T) {
	users := someUsers(3)
	servers := []struct {
		name  string
		start func(t *testing.T) (addr string, mode TLSMode, config *tls.Config)
	}{
		{"memory", func(t *testing.T) (string, TLSMode, *tls.Config) {
			server, client := testkit.TLS(t)
			m, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: serverUsers(users), TLSConfig: server})
			if err != nil {
				t.Fatal(err)
			}
			return testkit.Serve(t, m), TLSStartTLS, client
		}},
		{"dovecot", func(t *testing.T) (string, TLSMode, *tls.Config) {
			testkit.Need(t, "dovecot")
			d := testkit.Dovecot(t, backendtest.DovecotOptions{Users: serverUsers(users)})
			return d.TLS, TLSImplicit, &tls.Config{InsecureSkipVerify: true}
		}},
	}
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			addr, mode, config := server.start(t)
			for i, name := range realProfiles {
				t.Run(name, func(t *testing.T) {
					o := Options{
						Targets: []Target{target(t, addr)}, Users: users, Profile: small(builtInProfile(t, name)),
						TLS: mode, TLSConfig: config,
						Sessions: 6, Duration: 300 * time.Millisecond, Closed: i%2 == 0,
						Mechanism: Mechanism(i / 2 % 2), Timeout: testkit.Patience, Grace: time.Minute,
					}
					if !o.Closed {
						o.Rate = 30
					}
					checkGood(t, runLongEnough(t, o), name)
				})
			}
			checkNothingLeft(t, addr, mode, config)
		})
	}
}

// runLongEnough runs until something was done in the measured time: on a busy machine the first operation may take
// longer than that.
func runLongEnough(t *testing.T, o Options) *Report {
	t.Helper()
	for {
		r := mustRun(t, o)
		if r.Totals.OperationOutcomes.Done > 0 || r.Totals.OperationOutcomes.Bad() > 0 || o.Duration > time.Minute {
			return r
		}
		o.Duration *= 4
	}
}

func checkGood(t *testing.T, r *Report, name string) {
	t.Helper()
	if !r.Fine() || r.Totals.OperationOutcomes.Bad() > 0 || r.Sessions.Reconnects > 0 {
		t.Errorf("not fine:\n%s", table(r))
	}
	kinds := []string{name}
	if name == "mixed" {
		kinds = []string{"phone", "desktop", "webmail"}
	}
	for _, kind := range kinds {
		if r.rowOf(kind+", whole").Count == 0 {
			t.Errorf("no %s:\n%s", kind, table(r))
		}
	}
	if t.Failed() || testing.Verbose() {
		t.Log(table(r))
	}
}

// checkNothingLeft wants the mailboxes that sessions made to be gone.
func checkNothingLeft(t *testing.T, addr string, mode TLSMode, config *tls.Config) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if mode == TLSImplicit {
		conn = tls.Client(conn, config)
	}
	defer conn.Close()
	c := &clientConn{
		shard: &shard{}, timeout: testkit.Patience, tags: rand.New(rand.NewPCG(1, 2)),
		cut: func() bool { return false },
	}
	c.setConn(conn)
	if err := c.greeting(); err != nil {
		t.Fatal(err)
	}
	if err := c.command(rowLogin, "user1 secret", time.Time{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.command(rowList, `"" "bench*"`, time.Time{}, func(r *response) {
		if r.is("LIST") {
			t.Errorf("left behind: %s", r.args)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestSizedProfiles reads what the sink makes up, and checks it.
func TestSizedProfiles(t *testing.T) {
	testkit.NoLeaks(t)
	addr := startSink(t)
	for _, name := range []string{"fetch-5k", "fetch-1m"} {
		o := Options{
			Targets: []Target{target(t, addr)}, Users: someUsers(1), Profile: builtInProfile(t, name),
			Sessions: 4, Duration: 500 * time.Millisecond, Closed: true, Timeout: testkit.Patience, Grace: time.Minute,
		}
		checkGood(t, mustRun(t, o), "fetch")
	}
}
