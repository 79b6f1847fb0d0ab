package cli

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// TestBenchWatched: without a terminal, --live is lines; metrics are there while the run goes on, with a warning
// unless on loopback.
func TestBenchWatched(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	common := []string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords, "--rate", "50"}
	port := testkit.FreePort(t)
	free := "127.0.0.1:" + port
	type outcome struct {
		status    int
		out, errs string
	}
	ended := make(chan outcome, 1)
	go func() {
		status, out, errs := command(append(common, "--duration", "3s", "--live", "--metrics", free)...)
		ended <- outcome{status, out, errs}
	}()
	testkit.Eventually(t, "the metrics of the run", func() bool {
		return strings.Contains(scraped(free), `portico_bench_operations_total{fate="done",operation="noop, whole"} `)
	})
	got := <-ended
	if got.status != StatusFine || !strings.Contains(got.errs, " left: 10 sessions, ") ||
		strings.Contains(got.errs, "\x1b") ||
		strings.Contains(got.errs, "warning") || !strings.Contains(got.out, "noop, whole") {
		t.Errorf("%+v", got)
	}
	if status, _, errs := command(append(common, "--duration", "200ms", "--metrics",
		":"+port)...); status != StatusFine ||
		!strings.Contains(errs, "warning: other machines can read the metrics") {
		t.Errorf("status %d, %s", status, errs)
	}
	if status, _, errs := command(append(common, "--metrics", addr)...); status != StatusFailed ||
		!strings.Contains(errs, "address already in use") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// scraped returns the metrics of a run, "" if there are none.
func scraped(addr string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + addr + "/metrics")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}
