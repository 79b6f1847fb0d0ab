package cli

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
)

// TestResultFiles: the tool opens every file of its results before it measures, and replaces it at the end.
func TestResultFiles(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	dir := t.TempDir()
	page, link := filepath.Join(dir, "page.html"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(page, []byte("old"), 0o640), os.Symlink(page, link),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	run := func(more string) (int, string, string) {
		return command(append([]string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords,
			"--duration", "100ms"}, strings.Fields(strings.ReplaceAll(more, "DIR", dir))...)...)
	}
	for more, says := range map[string]string{
		"--report DIR/none/page.html":                                  "--report: ",
		"--hdr DIR/none/log":                                           "--hdr: ",
		"--report DIR/folder":                                          "is a directory",
		"--report DIR/page.html --hdr DIR/link":                        "same file",
		"--report DIR/new --hdr DIR/../" + filepath.Base(dir) + "/new": "same file",
	} {
		if status, out, errs := run(more); status != StatusFailed || out != "" || !strings.Contains(errs, says) {
			t.Errorf("%s: status %d, %q, %q", more, status, out, errs)
		}
	}
	if text, _ := os.ReadFile(page); string(text) != "old" {
		t.Errorf("a failed run has changed the page: %.100s", text)
	}
	if status, out, errs := run("--report DIR/link --hdr DIR/log"); status != StatusFine {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	text, err := os.ReadFile(page)
	info, statErr := os.Stat(page)
	if err := errors.Join(err, statErr); err != nil || !strings.HasPrefix(string(text), "<!DOCTYPE") ||
		info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %.20s", err, text)
	}
	if status, out, _ := run("--report /dev/full"); status != StatusFailed || !strings.Contains(out, "noop, whole") {
		t.Errorf("a full disk costs the report: status %d, %s", status, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", err, entries)
	}
}

// TestResultFileIsDropped: what was not kept leaves nothing behind.
func TestResultFileIsDropped(t *testing.T) {
	dir := t.TempDir()
	f, err := openResult("report", filepath.Join(dir, "page"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.write(func(io.Writer) error { return io.ErrShortWrite }); err == nil {
		t.Error("the error is lost")
	}
	f.drop()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", err, entries)
	}
}

// TestBenchHangUp: if the terminal goes away, the run still reports, and says that it was ended early.
func TestBenchHangUp(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // tests that run under nohup ignore it
	t.Cleanup(func() { signal.Stop(heard) })
	addr, passwords := testkit.Sink(t)
	metrics := "127.0.0.1:" + testkit.FreePort(t)
	type outcome struct {
		status    int
		out, errs string
	}
	ended := make(chan outcome, 1)
	go func() {
		status, out, errs := command("bench", "run", "--target", addr, "--users", "u", "--password-file", passwords,
			"--duration", "1h", "--rounds", "3", "--metrics", metrics, "-o", "json")
		ended <- outcome{status, out, errs}
	}()
	testkit.Eventually(t, "the run measures", func() bool {
		return strings.Contains(scraped(metrics), "portico_bench_measuring 1")
	})
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	got := <-ended
	if got.status != StatusEnded || !strings.Contains(got.out, `"ended_early": true`) ||
		!strings.Contains(got.errs, "ended early, in round 1 of 3") {
		t.Errorf("status %d, %.300s, %s", got.status, got.out, got.errs)
	}
}
