package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"portico/backend/backendtest/testkit"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/wire"
	"portico/sleep"
)

// Metrics are named as Prometheus wants it: with the prefix, the unit and the suffix of their type, and help. Only
// those in rare are missing on a site without faults, so no other escapes this test.
func TestNamesOfMetrics(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	site.put(t, "health.password", "secret\n")
	r := site.serve(t, site.write(t, "health: {mailboxes: {db1: {user: alice, password_file: health.password}}}\n"))
	r.signIn(t).Command("b", "NOOP")
	rare := map[string]bool{"portico_recovery_actions_total": true, "portico_canary_percent": true}
	testkit.Eventually(t, "a result of a probe", func() bool {
		_, metrics := r.get(t, "/metrics")
		return strings.Contains(metrics, "\nportico_probe_duration_seconds{")
	})

	families, err := r.service.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	lint := promlint.NewWithMetricFamilies(families)
	lint.AddCustomValidations(func(family *dto.MetricFamily) (wrong []error) {
		if !regexp.MustCompile("^(portico|go|process)_").MatchString(family.GetName()) {
			wrong = append(wrong, errors.New("no known prefix"))
		}
		if help := family.GetHelp(); strings.HasPrefix(family.GetName(), "portico_") && !strings.HasSuffix(help, ".") {
			wrong = append(wrong, fmt.Errorf("the help is not a sentence: %s", help))
		}
		return wrong
	})
	problems, err := lint.Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}

	gathered := make(map[string]bool)
	for _, family := range families {
		gathered[family.GetName()] = true
	}
	for _, name := range described(r.service.metrics) {
		if strings.HasPrefix(name, "portico_") && !gathered[name] && !rare[name] {
			t.Errorf("%s is not there after a sign-in and a probe", name)
		}
	}
	_, page := r.get(t, "/metrics")
	if !regexp.MustCompile(`(?m)^portico_build_info{goversion="go1[^"]+",revision="\w+",version="[^"]+"} 1$`).
		MatchString(page) {
		t.Error("no portico_build_info")
	}
}

// described lists the names of all metrics that a registry may have.
func described(registry *prometheus.Registry) (names []string) {
	descs := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	name := regexp.MustCompile(`fqName: "(\w+)"`)
	for d := range descs {
		names = append(names, name.FindStringSubmatch(d.String())[1])
	}
	return names
}

// sitesInPage are the rows of docs/metrics.md that say how many series a site may have.
var sitesInPage = regexp.MustCompile(`(?m)^\| (\d+) mailbox servers, (\d+) databases \| ([\d,]+) \| ([\d,]+) \|$`)

// A site has the number of series that operators reckon with: not one more, and at least nine tenths. All verbs are in
// use on all mailbox servers, with all results; each database has a health mailbox and two copies that can be probed.
func TestNumberOfSeries(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	sites := sitesInPage.FindAllStringSubmatch(string(page), -1)
	if len(sites) < 2 {
		t.Fatalf("the page has %d sites", len(sites))
	}
	number := func(text string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, of := range sites {
		classic, native := seriesOf(t, number(of[1]), number(of[2]))
		for _, kind := range []struct {
			name      string
			got, want int
		}{{"classic", classic, number(of[3])}, {"native", native, number(of[4])}} {
			if kind.got > kind.want || kind.got*10 < kind.want*9 {
				t.Errorf("%s, %s: %d series, want at most %d", of[0], kind.name, kind.got, kind.want)
			}
		}
	}
}

// seriesOf counts the series of a busy site, with classic histograms and without.
func seriesOf(t *testing.T, servers, databases int) (classic, native int) {
	site := newSite(t)
	site.put(t, "health.password", "secret\n")
	var names, serverKeys, databaseKeys, mailboxes []string
	for i := range servers {
		names = append(names, fmt.Sprintf("mbx%d", i))
		serverKeys = append(serverKeys, fmt.Sprintf(`mbx%d: {address: "127.0.0.1:1", tls: none}`, i))
	}
	for i := range databases {
		databaseKeys = append(databaseKeys, fmt.Sprintf("db%d: {copies: [mbx%d, mbx%d], interchangeable: true}", i,
			i%servers, (i+1)%servers))
		mailboxes = append(mailboxes, fmt.Sprintf("db%d: {user: probe%d, password_file: health.password}", i, i))
	}
	file := site.write(t, fmt.Sprintf("routing: hash\nhealth: {mailboxes: {%s}}\n", strings.Join(mailboxes, ", ")))
	site.replace(t, `{mbx1: {address: "127.0.0.1:1", tls: none}}`, "{"+strings.Join(serverKeys, ", ")+"}")
	site.replace(t, "{db1: {copies: [mbx1]}}", "{"+strings.Join(databaseKeys, ", ")+"}")
	r := site.serve(t, file)

	busy := prometheus.NewRegistry()
	server, err := proxy.New(proxy.Options{Settings: r.current().settings(), Relay: fullRelay{servers: names},
		Registerer: busy, SigninThreads: 1, Random: rand.Reader, Now: time.Now, Sleep: sleep.For})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	byFamily := make(map[string][2]int) // the node itself has no sessions, so the busy registry has more of some
	for _, registry := range []*prometheus.Registry{r.service.metrics, busy} {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			var n [2]int
			for _, m := range family.Metric {
				n[0] += seriesOfMetric(m, true)
				n[1] += seriesOfMetric(m, false)
			}
			before := byFamily[family.GetName()]
			byFamily[family.GetName()] = [2]int{max(before[0], n[0]), max(before[1], n[1])}
		}
	}
	probes := len(r.monitoring.engine.Probes()) // one without a result yet counts too
	byFamily["portico_probe_duration_seconds"] = [2]int{probes, probes}
	for _, n := range byFamily {
		classic, native = classic+n[0], native+n[1]
	}
	return classic, native
}

// seriesOfMetric counts the series that Prometheus stores for a metric.
func seriesOfMetric(m *dto.Metric, classic bool) int {
	const sumAndCount = 2
	switch {
	case m.Histogram != nil && classic:
		return len(m.Histogram.Bucket) + 1 + sumAndCount // +Inf is not in the list
	case m.Summary != nil:
		return len(m.Summary.Quantile) + sumAndCount
	default:
		return 1
	}
}

// fullRelay has seen each command end in each way on each mailbox server.
type fullRelay struct {
	relay.Relay
	servers []string
}

func (f fullRelay) Stats() *relay.Stats {
	stats := relay.NewStats()
	for _, name := range append([]string{""}, f.servers...) { // "" is before sign-in
		server := stats.Server(name)
		for verb := range wire.NumVerbs {
			for result := range relay.NumResults {
				server.Observe(wire.Verb(verb), result, int64(time.Millisecond))
			}
		}
	}
	return stats
}

func (f fullRelay) Close() {}

// Without classic histograms their buckets are gone, and the number and the sum stay. A reload brings them back.
func TestClassicHistogramsAreAChoice(t *testing.T) {
	site := newSite(t)
	r := site.serve(t, site.write(t, "metrics: {classic_histograms: false}\n"))
	const bucket = "\nportico_loop_wakeup_delay_seconds_bucket{le=\"0.1\"} "
	const count = "\nportico_loop_wakeup_delay_seconds_count "
	if _, page := r.get(t, "/metrics"); strings.Contains(page, bucket) || !strings.Contains(page, count) {
		t.Errorf("without classic histograms:\n%s", page)
	}
	site.write(t, "")
	reload(t, r, true)
	if _, page := r.get(t, "/metrics"); !strings.Contains(page, bucket) || !strings.Contains(page, count) {
		t.Errorf("with classic histograms:\n%s", page)
	}
}
