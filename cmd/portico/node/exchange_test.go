package node

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

// Each command that docs/exchange.md has in the place of one of Exchange's does something on real mailbox servers, in
// the order they stand there.
func TestExchangeCommands(t *testing.T) {
	testkit.NoLeaks(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "exchange.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWatchedSite(t, nil)
	file := w.config(t, healthMailboxes)
	w.replace(t, "db1: {copies: [mbx1]}", "db1: {copies: [mbx1, mbx2]}")
	r := w.serve(t, file)
	testkit.Eventually(t, "all probes have run",
		func() bool { return r.monitors(t)["ImapCTPMonitor/db2"].AlertValue == "Healthy" })
	socket := []string{"--admin", filepath.Join(w.dir, "admin.sock")}
	replaced := strings.NewReplacer("mx1", r.clients.listeners.addresses()[1].String(), "test@example.org", "health2",
		"test.password", filepath.Join(w.dir, "health.password"))
	word := regexp.MustCompile(`'[^']*'|\S+`)
	ran := 0
	for _, code := range regexp.MustCompile("`portico ([^`]+)`").FindAllStringSubmatch(string(page), -1) {
		var args []string
		for _, arg := range word.FindAllString(code[1], -1) {
			args = append(args, strings.Trim(arg, "'"))
		}
		switch args[0] {
		case "serve":
			continue
		case "test":
			for i := range args {
				args[i] = replaced.Replace(args[i])
			}
			args = append(args, "--ca", filepath.Join(w.dir, "ca.crt"), "--server-name", "localhost")
		default:
			args = append(args, socket...)
		}
		status, out, errs := command(args...)
		// What is looked at is well but for what these commands themselves do to it.
		fine := []int{cli.StatusFine}
		if slices.Contains([]string{"health", "database", "component"}, args[0]) {
			fine = append(fine, cli.StatusBad)
		}
		if !slices.Contains(fine, status) {
			t.Errorf("portico %s: status %d\n%s%s", code[1], status, out, errs)
		}
		ran++
	}
	if ran < 40 {
		t.Errorf("only %d commands found", ran)
	}
	// As alerts name a monitor, and as Exchange does.
	for _, identity := range []string{"IMAP.Protocol/ImapSelfTestMonitor/mbx1",
		`imap.protocol\ImapSelfTestMonitor\mbx1`, "IMAP.Protocol/*/mbx1"} {
		if got := r.asks(t, cli.StatusFine, "health", "get", identity); strings.Count(got,
			"ImapSelfTestMonitor") != 1 ||
			strings.Contains(got, "mbx2") {
			t.Errorf("%s: %s", identity, got)
		}
	}
	r.asks(t, cli.StatusFailed, "health", "get", "IMAP.Protocol/ImapSelfTestMonitor/mbx9")
	// Names that runbooks get wrong.
	if status, _, errs := command(append(socket, "health", "get", "--where",
		"HealtSetName -eq IMAP")...); status != cli.StatusFailed ||
		!strings.Contains(errs, "did you mean HealthSetName?") {
		t.Errorf("status %d, %s", status, errs)
	}
}
