package exporter

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/bench"
)

// TestRunIsExported runs against a sink, and wants the metrics at the end to be those of the report.
func TestRunIsExported(t *testing.T) {
	testkit.NoLeaks(t)
	addr := testkit.Serve(t, backendtest.NewSink(nil))
	target, err := bench.Resolve(t.Context(), net.DefaultResolver, addr, false)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := bench.LoadProfile("noop")
	if err != nil {
		t.Fatal(err)
	}
	e, ln := New(), testkit.Listen(t)
	stop := e.Serve(ln)
	defer stop()
	report, err := bench.Run(t.Context(), bench.Options{
		Targets: []bench.Target{target}, Users: []bench.User{{Name: "u", Password: "hush"}}, Profile: profile,
		Rate: 200, Sessions: 5,
		Duration: time.Second, Intervals: e.Interval, Progress: e.Progress,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + ln.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf(`portico_bench_operations_total{fate="done",operation="noop, whole"} %d`,
			report.Totals.OperationOutcomes.Done),
		fmt.Sprintf(`portico_bench_command_duration_seconds_count{command="NOOP"} %d`, report.Totals.CommandOutcomes.All),
		`portico_bench_command_duration_seconds_bucket{command="LOGIN",le="30"} 5`, "portico_bench_errors_total 0",
		`portico_bench_commands_total{command="NOOP",fate="timed_out"} 0`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "hush") {
		t.Error("the password is shown")
	}
	if problems, err := testutil.CollectAndLint(e); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
