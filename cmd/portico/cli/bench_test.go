package cli

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portico/backend/backendtest/testkit"
)

func TestBenchRun(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	page := filepath.Join(t.TempDir(), "report.html")
	common := []string{"bench", "run", "--target", addr, "--users", "user%02d:1-5", "--password-file", passwords,
		"--duration", "300ms", "--sessions", "3"}

	status, out, errs := command(append(common, "--report", page, "--pid", "self")...)
	if status != StatusFailed || !strings.Contains(errs, "pid") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	status, out, errs = command(append(common, "--report", page)...)
	if status != StatusFine || !strings.Contains(out, "noop, whole") || strings.Contains(out+errs, "hush") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Latency over time") {
		t.Errorf("page: %v", err)
	}
	status, out, _ = command(append(common, "-o", "json", "--profile", "webmail", "--closed")...)
	var report struct {
		Errors []struct{ Kind string }
		Totals struct{ Commands int }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != StatusBad || len(report.Errors) == 0 ||
		report.Totals.Commands == 0 {
		t.Errorf("the sink tells nothing in STATUS, and that is an error: status %d, %v, %.300s", status, err, out)
	}
}

// TestBenchStatus: errors are bad news, but a measurement that the tool has spoilt says nothing of errors.
func TestBenchStatus(t *testing.T) {
	for _, c := range []struct {
		fine, short, ended, strict bool
		want                       error
	}{
		{true, false, false, true, nil}, {true, true, false, false, nil}, {false, true, false, false, errBadNews},
		{false, false, false, true, errBadNews}, {true, true, false, true, errDoubt},
		{false, true, false, true, errDoubt}, {true, false, true, false, errEnded}, {false, true, true, true, errEnded},
	} {
		if got := measured(verdict{c.fine, c.short, c.ended}, c.strict); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if got := ExitStatus(errDoubt, io.Discard); got != StatusDoubt {
		t.Errorf("exit status %d", got)
	}
}

// TestBenchFailIf: a condition that is met is the exit status, in the table and in JSON.
func TestBenchFailIf(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	common := []string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords, "--duration",
		"300ms", "--closed"}
	status, out, _ := command(append(common, "--fail-if", "NOOP p99>1h", "--fail-if", "rate<1")...)
	if status != StatusFine || !strings.Contains(out, "conditions: 0 of 2 failed") {
		t.Errorf("status %d, %q", status, out)
	}
	status, out, _ = command(append(common, "--fail-if", "errors>0", "--fail-if", "NOOP p50>=0s", "-o", "json")...)
	var report struct {
		Conditions []struct {
			Condition string
			Failed    bool
			Measured  *float64
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != StatusBad || len(report.Conditions) != 2 {
		t.Fatalf("status %d, %v, %.300s", status, err, out)
	}
	if met := report.Conditions[1]; report.Conditions[0].Failed || !met.Failed || met.Condition != "NOOP p50>=0s" ||
		met.Measured == nil {
		t.Errorf("%+v", report.Conditions)
	}
}

// TestBenchFindRate searches up to the end of its span: the sink holds the least of conditions at any rate that is
// tried here.
func TestBenchFindRate(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	page := filepath.Join(t.TempDir(), "rate.html")
	common := []string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords,
		"--duration", "100ms",
		"--grace", "1s", "--rate", "40"}
	status, out, errs := command(append(common, "--find-rate", "p50<0s", "--report", page)...)
	want, says := StatusBad, "no rate was found at which p50<0s"
	const doubt = "the search could not decide whether a rate holds p50<0s"
	if strings.Contains(out, doubt) && strings.Contains(out, "tool short of CPU") { // on a busy machine
		want, says = StatusDoubt, doubt
	}
	if status != want || !strings.Contains(out, says) || !strings.Contains(errs, "at most 12m50s") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Latency by rate") {
		t.Errorf("page: %v", err)
	}
	for more, says := range map[string]string{
		"--find-rate p99": "write for example", "--find-rate p99<1s --rounds 2": "--rounds",
		"--find-rate p99<1s --closed": "a closed loop has no rate",
		"--find-rate p99<1s --live":   "--live",
	} {
		if status, _, errs := command(append(common, strings.Fields(more)...)...); status != StatusFailed ||
			!strings.Contains(errs, says) {
			t.Errorf("%s: status %d, %s", more, status, errs)
		}
	}
}

// TestBenchMerge measures from two machines at the same time, with a histogram log, and merges.
func TestBenchMerge(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	dir := t.TempDir()
	var work sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		work.Go(func() {
			status, out, errs := command("bench", "run", "--target", addr, "--users", "u", "--password-file",
				passwords, "--duration", "2s",
				"--rate", "50", "-o", "json", "--hdr", filepath.Join(dir, name+".hlog"))
			if err := os.WriteFile(filepath.Join(dir, name), []byte(out), 0o600); err != nil || status != StatusFine {
				t.Errorf("status %d, %v, %s", status, err, errs)
			}
		})
	}
	work.Wait()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if status, out, errs := command("bench", "merge", a, b, "--report",
		filepath.Join(dir, "page.html")); status != StatusFine ||
		!strings.Contains(out, "load machine") || !strings.Contains(out, "200 due") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if status, out, _ := command("bench", "merge", a, b, "--fail-if", "rate<1000"); status != StatusBad ||
		!strings.Contains(out, "1 of 1 failed") {
		t.Errorf("status %d\n%s", status, out)
	}
	if status, _, errs := command("bench", "merge", a, b, a); status != StatusFailed ||
		!strings.Contains(errs, "reports 1 and 3 are of the same run") {
		t.Errorf("status %d, %s", status, errs)
	}
	if status, _, errs := command("bench", "merge", a); status != StatusFailed || !strings.Contains(errs, "A.json") {
		t.Errorf("status %d, %s", status, errs)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a.hlog")); err != nil ||
		!strings.Contains(string(text), "Tag=NOOP,") {
		t.Errorf("%v, %.300s", err, text)
	}
}

// TestBenchDiff measures rounds, and compares them with themselves and with other work.
func TestBenchDiff(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	dir := t.TempDir()
	measure := func(name string, more ...string) string {
		t.Helper()
		args := append([]string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords,
			"--duration", "200ms",
			"--rate", "50", "-o", "json"}, more...)
		status, out, errs := command(args...)
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(out), 0o600); err != nil || status != StatusFine {
			t.Fatalf("status %d, %v, %s", status, err, errs)
		}
		return file
	}
	rounds, other := measure("rounds", "--rounds", "5"), measure("other", "--sessions", "3")
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{rounds + " " + rounds, StatusFine, "no regression is shown"},
		{rounds + " " + other, StatusFailed, "another sessions"},
		{rounds + " " + dir + "/nothing", StatusFailed, "no such file"},
		{rounds + " " + passwords, StatusFailed, "invalid"},
		{rounds, StatusFailed, "give two files"},
		{rounds + " " + rounds + " --confidence 100", StatusFailed, "confidence"},
		{rounds + " " + rounds + " --confidence NaN", StatusFailed, "confidence"},
		{rounds + " " + rounds + " --confidence 0.95", StatusFailed, "must be from 50"},
		{rounds + " " + rounds + " --target a --target b --target c", StatusFailed, "at most twice"},
		{rounds + " " + rounds + " --target a", StatusFailed, "leave out --target"},
		{rounds + " " + rounds + " -o json", StatusFine, `"regression": false`},
	} {
		status, out, errs := command(append([]string{"bench", "diff"}, strings.Fields(c.args)...)...)
		if status != c.status || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: status %d\n%s%s", c.args, status, out, errs)
		}
	}
}

// TestBenchClean: the sink keeps no mailbox, so none is left behind.
func TestBenchClean(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	common := []string{"bench", "clean", "--target", addr, "--users", "u", "--password-file", passwords}
	if status, out, errs := command(common...); status != StatusFine || strings.Contains(out+errs, "hush") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	if status, _, errs := command(append(common, "--target", addr)...); status != StatusFailed ||
		!strings.Contains(errs, "one target") {
		t.Errorf("two targets: status %d, %q", status, errs)
	}
	if status, _, errs := command(append(common, "--profile", "nothing")...); status != StatusFailed ||
		!strings.Contains(errs, "nothing") {
		t.Errorf("status %d, %q", status, errs)
	}
}

func TestBenchRefuses(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	for _, c := range []struct{ change, says string }{
		{"--target 192.0.2.1:143", "--allow-remote"},
		{"--sessions 50001", "50001 sessions"},
		{"--duration 25h", "duration 25h"},
		{"--output xml", "it must be table, wide, list, json or name"},
		{"--tls perhaps", "none, starttls, implicit"},
		{"--tls implicit --tls-version 1.1", "neither 1.2 nor 1.3"},
		{"--tls implicit --tls-curve P521", "X25519"},
		{"--users user%d", "users"},
		{"--profile nothing", "noop"},
		{"--source here", "source"},
		{"--pid 99999999", "no process"},
		{"--closed --rate 5", "closed loop has no rate"},
		{"--mechanism digest-md5", "login, plain, xoauth2, oauthbearer, external"},
		{"--cert a.pem", "cert has no effect: connections do not use TLS"},
		{"--tls-version 1.3 --insecure", "tls-version has no effect"},
		{"--duration 0s", "duration 0s"},
		{"--sessions 0", "sessions 0"},
		{"--rate 0", "rate 0"},
		{"--rate NaN", "rate NaN"},
		{"--rate 0.000001", "at least one a day"},
		{"--duration -1s", "must be above 0"},
		{"--sessions many", "a whole number"},
		{"--replay=", "--replay is empty"},
		{"--fail-if p99>100", "write a number with its unit"},
	} {
		args := append([]string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords},
			strings.Fields(c.change)...)
		if status, _, errs := command(args...); status != StatusFailed || !strings.Contains(errs, c.says) {
			t.Errorf("%s: status %d, %q", c.change, status, errs)
		}
	}
	for more, says := range map[string]string{
		"--listen 0.0.0.0:0": "--allow-remote", "--duration 0s": "--duration 0s", "--key k.pem": "--cert and --key",
		"--make-ca ca.pem --cert c.pem": "--make-ca",
	} {
		if status, _, errs := command(append([]string{"bench", "sink"}, strings.Fields(more)...)...); status !=
			StatusFailed || !strings.Contains(errs, says) {
			t.Errorf("sink %s: status %d, %q", more, status, errs)
		}
	}
}

func TestBenchProfiles(t *testing.T) {
	if status, out, _ := command("bench", "profile", "list"); status != StatusFine ||
		!strings.Contains(out, "desktop") {
		t.Errorf("status %d, %q", status, out)
	}
	if status, out, _ := command("bench", "profile", "show", "storm"); status != StatusFine ||
		!strings.Contains(out, "storm:") {
		t.Errorf("status %d, %q", status, out)
	}
	if status, _, errs := command("bench", "profile", "show", "../storm"); status != StatusFailed ||
		!strings.Contains(errs, "../storm") {
		t.Errorf("status %d, %q", status, errs)
	}
}

// TestBenchSink starts a sink with TLS that ends by itself, and runs against it.
func TestBenchSink(t *testing.T) {
	_, passwords := testkit.Sink(t)
	ln := testkit.Listen(t)
	addr := ln.Addr().String()
	ln.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	ended := make(chan int, 1)
	go func() {
		status, _, _ := command("bench", "sink", "--listen", addr, "--make-ca", ca, "--duration", "3s")
		ended <- status
	}()
	testkit.Eventually(t, "the sink listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	status, out, errs := command("bench", "run", "--target", addr, "--users", "u", "--password-file", passwords,
		"--duration", "300ms",
		"--tls", "implicit", "--ca", ca, "--tls-version", "1.3", "--tls-curve", "X25519", "--profile", "storm")
	if status != StatusFine || !strings.Contains(out, "tls handshake") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	if status := <-ended; status != StatusFine {
		t.Errorf("sink: status %d", status)
	}
}
