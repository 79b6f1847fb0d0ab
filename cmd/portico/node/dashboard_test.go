package node

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
)

// A Prometheus that scrapes a working node has an answer to each query of the dashboard, and to each rule, with classic
// histograms and with native ones. Panels that are empty on a healthy site say so.
func TestDashboardAndRulesHaveData(t *testing.T) {
	testkit.Need(t, "prometheus")
	site := newSite(t)
	site.serveMail(t)
	site.put(t, "health.password", "secret\n")
	r := site.serve(t, site.write(t, `penalties: {first: 0s, exempt: [127.0.0.0/8]}
settings: {protocol_log_enabled: true}
health:
  mailboxes: {db1: {user: alice, password_file: health.password}}
  self_test: {interval: 1s, timeout: 1s, failures: 3}
`))
	target := r.api.address.String()
	for _, scraper := range []struct {
		prometheus testPrometheus
		histograms string // what it has for each
		pending    []string
	}{
		{startPrometheus(t, target), "portico_command_duration_seconds_bucket", nil},
		{startPrometheus(t, target, "--enable-feature=native-histograms"), "portico_command_duration_seconds", nil},
	} {
		pending := append(dashboardQueries(t, target), scraper.histograms)
		pending = append(pending, loopsWakeUp(t)...)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s: no data for\n%s", scraper.histograms, strings.Join(pending, "\n"))
			}
		})
		testkit.Eventually(t, "some scrapes", func() bool {
			r.works(t)
			return scraper.prometheus.has(t, "count_over_time(up[1m]) > 4")
		})
		testkit.Eventually(t, "data for each query", func() bool {
			r.works(t)
			pending = slices.DeleteFunc(pending, func(expr string) bool { return scraper.prometheus.has(t, expr) })
			return len(pending) == 0
		})
		testkit.Eventually(t, "each rule evaluated", func() bool { return scraper.prometheus.rulesEvaluated(t) })
	}
}

// works does what users do: some sign in and read, one asks for what is not there, one mistypes the password.
func (r *running) works(t *testing.T) {
	t.Helper()
	c := r.signIn(t)
	c.Command("b", "NOOP")
	c.Command("c", "SELECT INBOX")
	c.Send("d STATUS nowhere (MESSAGES)")
	c.Expect("d NO *")
	c.Close()
	c = testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Send("a LOGIN alice wrong")
	c.Expect("a NO *")
	c.Close()
}

// dashboardQueries are the queries of the panels that have data on a healthy site, for one node and one server.
func dashboardQueries(t *testing.T, node string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "configs", "grafana", "portico.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Type, Description string
			Targets           []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	chosen := strings.NewReplacer(`"$node"`, strconv.Quote(regexp.QuoteMeta(node)), "$server", "mbx1",
		"$__rate_interval", "10s")
	for _, panel := range dashboard.Panels {
		if strings.HasPrefix(panel.Description, "Empty until ") {
			continue
		}
		for _, target := range panel.Targets {
			all = append(all, chosen.Replace(target.Expr))
		}
	}
	if len(all) < 60 {
		t.Fatalf("the dashboard has %d queries", len(all))
	}
	return all
}

// loopsWakeUp is the query of the alert PorticoLoopLate, for loops that are not late.
func loopsWakeUp(t *testing.T) []string {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join(root, "configs", "prometheus", "portico.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(rules), "alert: PorticoLoopLate")
	_, rule, _ = strings.Cut(rule, "expr: |")
	expr, _, found := strings.Cut(rule, "for:")
	if !found {
		t.Fatal("no alert PorticoLoopLate")
	}
	return []string{strings.NewReplacer("> 0.1", ">= 0", "[5m]", "[10s]").Replace(expr)}
}

// testPrometheus is the URL of a Prometheus that scrapes one node twice a second.
type testPrometheus string

// startPrometheus starts one, with the rules that people copy. It ends with the test.
func startPrometheus(t *testing.T, target string, flags ...string) testPrometheus {
	t.Helper()
	dir, address := t.TempDir(), "127.0.0.1:"+testkit.FreePort(t)
	rules, err := filepath.Abs(filepath.Join(root, "configs", "prometheus", "portico.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 500ms, evaluation_interval: 500ms}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: portico, static_configs: [{targets: [%q]}]}]\n", rules, target)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", append(flags, "--config.file="+file, "--web.listen-address="+address,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--log.level=warn")...)
	var said testkit.Log
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus says\n%s", &said)
		}
	})
	p := testPrometheus("http://" + address)
	testkit.Eventually(t, "Prometheus to be ready", func() bool {
		response, err := http.Get(string(p) + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// get asks the HTTP API.
func (p testPrometheus) get(t *testing.T, path string, answer any) {
	t.Helper()
	response, err := http.Get(string(p) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %+v", path, response.StatusCode, err, answer)
	}
}

// has says whether a query has a number, or a native histogram.
func (p testPrometheus) has(t *testing.T, expr string) bool {
	t.Helper()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Value     []any // time and number
				Histogram []any
			}
		}
	}
	p.get(t, "/api/v1/query?query="+url.QueryEscape(expr), &answer)
	for _, sample := range answer.Data.Result {
		if len(sample.Histogram) > 0 {
			return true
		}
		if len(sample.Value) == 2 {
			if v, err := strconv.ParseFloat(sample.Value[1].(string), 64); err == nil && !math.IsNaN(v) {
				return true
			}
		}
	}
	return false
}

// rulesEvaluated says whether all rules have been evaluated. It fails the test for a rule that cannot be.
func (p testPrometheus) rulesEvaluated(t *testing.T) bool {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	p.get(t, "/api/v1/rules", &answer)
	evaluated := 0
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			switch rule.Health {
			case "ok":
				evaluated++
			case "err":
				t.Fatalf("%s: %s", rule.Name, rule.LastError)
			default:
				return false
			}
		}
	}
	return evaluated > 10
}
