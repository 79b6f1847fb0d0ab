package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
)

// What docs/cluster.md says to paste does what it says: three nodes form a site, which etcd or a node may leave.
func TestClusterPage(t *testing.T) {
	testkit.Need(t, "sh", "curl", "etcd")
	_, section, _ := strings.Cut(readPage(t, "docs/cluster.md"), "\n## Try it on one machine\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(lines) < 10 {
		t.Fatalf("the page has %d lines", len(lines))
	}
	here, end := demoNodes(t, lines[0])
	defer end()
	for _, line := range lines[1:] {
		line = here(line)
		t.Log(line)
		command, fails, _ := strings.Cut(line, " # ")
		if serve, is := strings.CutSuffix(command, " &"); is {
			if err := testkit.Program(t, strings.Fields(serve)[1:]...).Start(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var out []byte
		testkit.Eventually(t, line, func() bool { // the page says how long some need
			shell := exec.CommandContext(testkit.Context(t), "sh", "-c", command)
			program := testkit.Program(t)
			shell.Env = append(program.Env, "PORTICO="+program.Path)
			var err error
			out, err = shell.CombinedOutput()
			_, why, _ := strings.Cut(fails, ": ")
			return (err == nil) == (fails == "") && strings.Contains(string(out), why)
		})
		t.Logf("%s", out)
	}
}

// demoNodes starts the demo that a line of a page starts, in another folder and on other ports, and returns how the
// page's other lines are here. end ends the demo, and its nodes with it.
func demoNodes(t *testing.T, line string) (here func(line string) string, end func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	args := strings.Fields(strings.ReplaceAll(line, "/tmp/site", dir))[1:]
	demo, out := testkit.Program(t, append(args, "--imap-port", "0", "--imaps-port", "0", "--http-port", "0")...),
		&testkit.Log{}
	demo.Stdout, demo.Stderr = out, out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		demo.Process.Signal(syscall.SIGINT)
		demo.Wait()
	}
	testkit.Eventually(t, "the demo to run", func() bool { return strings.HasSuffix(out.String(), "\n\n") })
	tryDemoLines(t, demo.Env, out.String())
	replaced := []string{"/tmp/site", dir, "portico ", "$PORTICO "}
	ports := regexp.MustCompile(`IMAP (127\.0\.0\.1:\d+)`).FindAllStringSubmatch(out.String(), -1)
	for i, was := range []string{"127.0.0.1:1143", "127.0.0.1:1144", "127.0.0.1:1145"} {
		replaced = append(replaced, was, ports[i][1])
	}
	return strings.NewReplacer(replaced...).Replace, end
}

// tryDemoLines pastes what a demo of several nodes prints to paste, but for what kills.
func tryDemoLines(t *testing.T, env []string, printed string) {
	t.Helper()
	_, all, _ := strings.Cut(printed, "To paste into another terminal:\n")
	tried := 0
	for part := range strings.SplitSeq(strings.TrimSpace(all), "\n\n") {
		_, line, _ := strings.Cut(part, ":\n")
		if strings.HasPrefix(line, "kill ") || strings.Contains(line, " serve ") {
			continue
		}
		tried++
		shell := exec.CommandContext(testkit.Context(t), "sh", "-c", line)
		shell.Env = env
		if out, err := shell.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if tried != 4 {
		t.Errorf("%d lines of the demo were tried", tried)
	}
}
