package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
)

// recordedProgram runs the program in place of portico, and records the exit status of each command line.
const recordedProgram = `#!/bin/sh
"$PROGRAM" "$@"
status=$?
echo "$status $*" >> "$STATUSES"
exit $status
`

// TestBenchPage pastes the examples of docs/bench.md into a shell, in order, with shorter times, fewer rounds and other
// ports. A busy machine may fail conditions, but each command must do its work.
func TestBenchPage(t *testing.T) {
	testkit.Need(t, "sh")
	dir := t.TempDir()
	var paste strings.Builder
	lines := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readPage(t, "docs/bench.md"),
		-1) {
		paste.WriteString(block[1])
		lines += len(regexp.MustCompile(`(?m)(^|\| )portico `).FindAllString(block[1], -1))
	}
	imap, imaps, http, sink := testkit.FreePort(t), testkit.FreePort(t), testkit.FreePort(t), testkit.FreePort(t)
	text := strings.NewReplacer(
		":1143", ":"+imap, ":1993", ":"+imaps, ":1145", ":"+sink, "/tmp/", dir+"/",
		"portico demo ", fmt.Sprintf("portico demo --imap-port %s --imaps-port %s --http-port %s ", imap, imaps, http),
		"portico bench sink ", "portico bench sink --listen 127.0.0.1:"+sink+" ",
	).Replace(paste.String())
	// the runs of two machines keep their time, because it must overlap
	spans := regexp.MustCompile(`(--duration |duration: )\d+s( -o json)?`)
	text = spans.ReplaceAllStringFunc(text, func(span string) string {
		if strings.HasSuffix(span, "json") {
			return span
		}
		return regexp.MustCompile(`\d+s`).ReplaceAllString(span, "400ms")
	})
	text = regexp.MustCompile(`(--rounds |rounds: )\d+`).ReplaceAllString(text, "${1}5") // fewer are refused
	text = regexp.MustCompile(`--rate \d+( --duration \d+s -o json)`).ReplaceAllString(text, "--rate 50$1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	statuses := filepath.Join(dir, "statuses")
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "portico"), []byte(recordedProgram), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", text) // it takes as long as the machine needs
	cmd.Env = append(os.Environ(), testkit.AsProgram, "PROGRAM="+self, "STATUSES="+statuses,
		"PATH="+bin+":"+os.Getenv("PATH"))
	cmd.Dir = dir
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Run()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the sink and the demo
	said, _ := os.ReadFile(output.Name())
	if err != nil && cmd.ProcessState.ExitCode() > 3 {
		t.Errorf("the shell: %v", err)
	}
	record, readErr := os.ReadFile(statuses)
	if readErr != nil {
		t.Fatalf("%v\n%s", readErr, said)
	}
	ended := 0
	for line := range strings.Lines(string(record)) {
		ended++
		if line[0] != '0' && line[0] != '1' && line[0] != '3' {
			t.Errorf("portico ended with status %s", line)
		}
	}
	if ended != lines-2 { // the sink and the demo do not end
		t.Errorf("%d of %d commands have ended\n%s", ended, lines-2, text)
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("%s%s", record, said)
	}
}
