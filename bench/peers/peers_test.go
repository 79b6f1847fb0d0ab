package peers

import (
	"crypto/tls"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
)

// roleVar makes this program the mailbox server of a run: a process of its own, so that only the proxies are measured.
const roleVar = "PORTICO_PEERS_SINK"

func TestMain(m *testing.M) {
	if addr := os.Getenv(roleVar); addr != "" {
		runSink(addr)
		return
	}
	os.Exit(m.Run())
}

// rounds is how often each peer takes its turn.
const rounds = 7

// BenchmarkPeers prints what each kind of work costs each proxy, in rounds that take turns.
func BenchmarkPeers(b *testing.B) {
	s, config := newSite(b)
	for _, r := range loadRows() {
		b.Run(r.name, func(b *testing.B) {
			costs, err := compare(startAll(b, s), r, config, rounds)
			report(b, r.unit, costs, err)
		})
	}
}

// BenchmarkSignIn prints what a sign-in costs the proxies that sign in.
func BenchmarkSignIn(b *testing.B) {
	s, config := newSite(b)
	for _, way := range []struct {
		name   string
		config *tls.Config
	}{{"plain", nil}, {"new TLS session", config}} {
		b.Run(way.name, func(b *testing.B) {
			peers := slices.DeleteFunc(startAll(b, s), func(p *Peer) bool { return p.Name == "haproxy" })
			costs, err := signIns(peers, 400, way.config, rounds)
			report(b, "us each", costs, err)
		})
	}
}

// report prints the costs and Portico's ratio to the best of the others.
func report(b *testing.B, unit string, costs map[string]spread, err error) {
	if err != nil {
		b.Fatal(err)
	}
	best := math.Inf(1)
	for _, name := range slices.Sorted(maps.Keys(costs)) {
		b.Logf("%-8s %s %s", name, costs[name], unit)
		b.ReportMetric(costs[name].median, name)
		if name != "portico" {
			best = min(best, costs[name].median)
		}
	}
	b.ReportMetric(costs["portico"].median/best, "x-best")
	b.ReportMetric(0, "ns/op") // means nothing here
}

// BenchmarkIdle prints what a signed-in session that is idle costs Portico in memory.
func BenchmarkIdle(b *testing.B) {
	const idle = 4000
	s, config := newSite(b)
	for _, way := range []struct {
		name   string
		config *tls.Config
	}{{"plain", nil}, {"tls", config}} {
		b.Run(way.name, func(b *testing.B) {
			p, err := startPortico(s, buildPortico(b, s))
			if err != nil {
				b.Fatal(err)
			}
			defer p.Stop()
			time.Sleep(time.Second) // a fresh process at rest
			before, err := pss(p.pid())
			if err != nil {
				b.Fatal(err)
			}
			addr := p.Plain
			if way.config != nil {
				addr = p.TLS
			}
			clients, err := signInMany(addr, way.config, idle)
			if err != nil {
				b.Fatal(err)
			}
			if err := each(clients, func(c *client) error { return c.do("a NOOP\r\n") }); err != nil {
				b.Fatal(err)
			}
			time.Sleep(3 * time.Second) // what the measure is defined as
			after, _ := pss(p.pid())
			b.ReportMetric(float64(after-before)/idle/1024, "KiB/session")
			closeAll(clients)
		})
	}
}

// newSite makes the certificate and starts the mailbox server.
func newSite(b *testing.B) (*site, *tls.Config) {
	for _, program := range []string{"nginx", "haproxy"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Skipf("%s is not installed", program)
		}
	}
	ca, err := backendtest.NewCA("peers")
	if err != nil {
		b.Fatal(err)
	}
	s := &site{dir: b.TempDir()}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost"}})
	if err != nil {
		b.Fatal(err)
	}
	if _, s.key, err = cert.WriteFiles(s.dir, "bench"); err != nil {
		b.Fatal(err)
	}
	if s.cert, err = s.file("both.pem", string(cert.CertPEM)+string(cert.KeyPEM)); err != nil { // as HAProxy wants it
		b.Fatal(err)
	}
	addrs, err := freePorts(1)
	if err != nil {
		b.Fatal(err)
	}
	s.sink = addrs[0]
	sink := exec.Command(os.Args[0])
	sink.Env = append(os.Environ(), roleVar+"="+s.sink)
	if err := sink.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sink.Process.Kill(); sink.Wait() })
	if err := answers(s.sink); err != nil {
		b.Fatal(err)
	}
	config := ca.ClientConfig("localhost")
	config.MinVersion = tls.VersionTLS13
	config.CurvePreferences = []tls.CurveID{tls.X25519}
	return s, config
}

func startAll(b *testing.B, s *site) []*Peer {
	path := buildPortico(b, s)
	var peers []*Peer
	for _, start := range []func() (*Peer, error){
		func() (*Peer, error) { return startPortico(s, path) },
		func() (*Peer, error) { return startNginx(s) },
		func() (*Peer, error) { return startHAProxy(s) },
	} {
		p, err := start()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { p.Stop() })
		peers = append(peers, p)
	}
	return peers
}

func buildPortico(b *testing.B, s *site) string {
	path := filepath.Join(s.dir, "portico")
	if out, err := exec.Command("go", "build", "-o", path, "portico/cmd/portico").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return path
}

func runSink(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go backendtest.NewSink(nil).Serve(ln)
	<-stop
}

// BenchmarkHold keeps a load on one proxy for a profiler to look at: PORTICO_PEERS_HOLD is for how long, as "nginx 20s".
func BenchmarkHold(b *testing.B) {
	var name, length string
	fmt.Sscan(os.Getenv("PORTICO_PEERS_HOLD"), &name, &length)
	d, err := time.ParseDuration(length)
	if err != nil {
		b.Skip("PORTICO_PEERS_HOLD is not set")
	}
	s, _ := newSite(b)
	for _, p := range startAll(b, s) {
		if p.Name != name {
			continue
		}
		clients, err := signInMany(p.Plain, nil, 50)
		if err != nil {
			b.Fatal(err)
		}
		defer closeAll(clients)
		fmt.Fprintln(os.Stderr, "processes", family(p.pid()))
		done := 0
		for end := time.Now().Add(d); time.Now().Before(end); done += 50 * 100 {
			if err := each(clients, func(c *client) error { return c.repeat("a NOOP\r\n", 100) }); err != nil {
				b.Fatal(err)
			}
		}
		spent, _ := cpuTime(p.pid())
		b.ReportMetric(float64(spent.Microseconds())/float64(done), "us/cmd")
		b.ReportMetric(float64(done), "commands")
	}
}
