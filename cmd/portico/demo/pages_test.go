package demo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// Each command in the blocks of docs/troubleshooting.md works on the demo, in the order of the page.
func TestTroubleshootingPage(t *testing.T) {
	testkit.NoLeaks(t)
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", filepath.Join(dir, "admin.sock"))
	address := regexp.MustCompile("imap://([0-9.:]+)/").FindStringSubmatch(d.out.String())[1]
	alice := testkit.Dial(t, address, nil)
	alice.Expect("* OK *")
	alice.Command("a", "LOGIN alice demo")
	ran := 0
	for _, args := range testkit.ShownCommands(string(page)) {
		if slices.Equal(args[:2], []string{"log", "tail"}) { // it does not end by itself
			continue
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "/etc/portico", dir)
		}
		if slices.Equal(args[:2], []string{"log", "show"}) { // the rule of log on is in effect within a second
			testkit.Eventually(t, "a row of alice", func() bool {
				alice.Command("b", "NOOP")
				status, _, _ := command(args...)
				return status == cli.StatusFine
			})
		}
		if status, out, errs := command(args...); status != cli.StatusFine && status != cli.StatusBad {
			t.Errorf("portico %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
		}
		ran++
	}
	if ran < 30 {
		t.Errorf("only %d commands were found", ran)
	}
}

// What the README shows of a demo can be seen in one, once its lines are pasted.
func TestReadmeShowsTheDemo(t *testing.T) {
	testkit.Need(t, "sh", "timeout", "head")
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## What you see\n")
	section, _, _ = strings.Cut(section, "\n## ")
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", filepath.Join(dir, "admin.sock"))
	program := testkit.Program(t)
	if err := os.Symlink(program.Path, filepath.Join(dir, "portico")); err != nil {
		t.Fatal(err)
	}
	shell := func(lines string) *exec.Cmd {
		cmd := exec.CommandContext(testkit.Context(t), "sh", "-c", lines)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), testkit.AsProgram)
		return cmd
	}
	pasted := regexp.MustCompile("(?s)```sh\n(echo .*?)```").FindStringSubmatch(section)
	if pasted == nil {
		t.Fatal("the page starts no mail programs")
	}
	address := regexp.MustCompile("imap://([0-9.:]+)/").FindStringSubmatch(d.out.String())[1]
	here := strings.NewReplacer("127.0.0.1:1143", address, "--duration 5m", "--duration 8s")
	programs := shell(here.Replace(pasted[1]) + "wait\n")
	if err := programs.Start(); err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("```text\n\\$ (.*)\n(.*)\n(.*)").FindAllStringSubmatch(section, -1)
	if len(shown) != 4 {
		t.Fatalf("the page shows %q", shown)
	}
	for _, picture := range shown {
		line, header, row := picture[1], strings.Join(strings.Fields(picture[2]), " "), strings.Fields(picture[3])
		testkit.Eventually(t, line, func() bool {
			out, err := shell("timeout 20 " + line + " | head -2").Output()
			rows := strings.Split(string(out), "\n")
			return err == nil && len(rows) > 1 && strings.Join(strings.Fields(rows[0]), " ") == header &&
				len(strings.Fields(rows[1])) > len(row)/2
		})
	}
	if status, _, errs := command("demo", "mend", "mbx2"); status != cli.StatusFine {
		t.Error(errs)
	}
	if err := programs.Wait(); err != nil {
		t.Error(err)
	}
}
