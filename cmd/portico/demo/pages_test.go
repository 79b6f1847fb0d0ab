package demo_test

import (
	"os"
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
