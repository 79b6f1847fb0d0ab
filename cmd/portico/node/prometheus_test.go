package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// The rules and configurations that people copy are taken by Prometheus and Alertmanager, say what they should to
// made-up faults, leave no alert untried, and go by metrics that a running service has.
func TestPrometheusRules(t *testing.T) {
	testkit.Need(t, "promtool", "amtool")
	testkit.NoLeaks(t)
	dir := filepath.Join(root, "configs", "prometheus")
	for _, command := range [][]string{
		{"promtool", "check", "config", "prometheus.yml"}, // and the rules it names
		{"promtool", "test", "rules", "portico.test.yml"},
		{"amtool", "check-config", "alertmanager.yml"},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}

	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rules, tries := read("portico.rules.yml"), read("portico.test.yml")
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) == 0 {
		t.Error("no alerts")
	}
	for _, alert := range alerts {
		if !strings.Contains(tries, alert[1]) {
			t.Errorf("nothing tries %s", alert[1])
		}
	}

	site := newSite(t)
	r := site.serve(t, site.write(t, ""))
	c := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil) // a refused sign-in counts as a command
	c.Expect("* OK *")
	c.Send("a LOGIN ann secret")
	c.Expect("a NO *")
	c.Close()
	_, metrics := r.get(t, "/metrics")
	names := regexp.MustCompile(`\bportico_\w+`).FindAllString(rules, -1)
	if len(names) == 0 {
		t.Error("no metrics")
	}
	for _, name := range names {
		if strings.HasPrefix(name, "portico_cluster_") { // of a node in a cluster: TestNodesOfACluster
			continue
		}
		if !strings.Contains(metrics, "\n"+name+"{") && !strings.Contains(metrics, "\n# TYPE "+name+" ") {
			t.Errorf("no metric %s", name)
		}
	}
}
