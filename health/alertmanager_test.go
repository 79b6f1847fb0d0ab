package health

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// A real Alertmanager, with the configuration that people copy, takes an alert, tells the right receiver, and
// knows when it is over.
func TestRealAlertmanager(t *testing.T) {
	testkit.Need(t, "prometheus-alertmanager")
	told := make(chan string, 10)
	pager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	defer pager.Close()
	config, err := os.ReadFile(filepath.Join("..", "configs", "prometheus", "alertmanager.yml"))
	if err != nil {
		t.Fatal(err)
	}
	own := strings.NewReplacer("http://127.0.0.1:9094", pager.URL, "group_wait: 30s",
		"group_wait: 0s").Replace(string(config))
	if !strings.Contains(own, pager.URL) || !strings.Contains(own, "group_wait: 0s") {
		t.Fatalf("the configuration has changed: %s", config)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + testkit.FreePort(t)
	var log bytes.Buffer
	cmd := exec.Command("prometheus-alertmanager", "--config.file="+file, "--storage.path="+dir,
		"--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, []byte) {
		response, err := client.Get("http://" + address + path)
		if err != nil {
			return 0, nil
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, body
	}
	testkit.Eventually(t, "Alertmanager is ready",
		func() bool { status, _ := get("/-/ready"); return status == http.StatusOK })

	active := func() (causes []string) {
		_, body := get("/api/v2/alerts?active=true")
		var all []struct{ Labels map[string]string }
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		for _, a := range all {
			causes = append(causes, a.Labels["cause"])
		}
		return causes
	}
	am := &Alertmanager{URL: "http://" + address + "/api/v2/alerts", Node: "mx1"}
	a := Alert{
		Cause: "Networking of mbx1", Dependency: Networking, Mailbox: "mbx1", Since: time.Now().Add(-time.Minute),
		Monitors: []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1"}, Error: "connection refused",
	}
	for range 2 { // told again while it lasts, it is the same one
		if err := am.Send(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "the alert is there", func() bool { return len(active()) == 1 })
	select {
	case page := <-told:
		if !strings.Contains(page, `"alertname":"PorticoHealth"`) ||
			!strings.Contains(page, `"cause":"Networking of mbx1"`) ||
			!strings.Contains(page, `"receiver":"at-night"`) {
			t.Error(page)
		}
	case <-time.After(testkit.Patience):
		t.Error("nobody was told")
	}
	a.Ended = time.Now()
	if err := am.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the alert is over", func() bool { return len(active()) == 0 })
}
