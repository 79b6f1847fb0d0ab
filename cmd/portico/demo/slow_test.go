package demo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// "Mail is slow for alice": the commands of docs/operations.md and the clicks of docs/console.md lead to the mailbox
// server, the IMAP command, since when, and the masked rows. Her server is slow indeed.
func TestMailIsSlowForAlice(t *testing.T) {
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", filepath.Join(dir, "admin.sock"))
	if status, _, errs := command("log", "on", "--user", "alice", "--for", "1h"); status != cli.StatusFine {
		t.Fatal(errs)
	}
	alice, carol := signedIn(t, d, "alice"), signedIn(t, d, "carol")
	alice.Command("b", "SELECT INBOX")
	carol.Command("b", "SELECT INBOX")
	breaks := func(args ...string) {
		t.Helper()
		if status, _, errs := command(append([]string{"demo"}, args...)...); status != cli.StatusFine {
			t.Fatal(errs)
		}
	}
	breaks("break", "mbx2", "--slow")
	carol.Command("c", `UID SEARCH SUBJECT "invoice 4711"`)
	d.recipe(t, func() { alice.Command("c", `UID SEARCH SUBJECT "invoice 4711"`) })
	c := openConsole(t, d)
	c.clicks(t)

	breaks("break", "mbx2", "--silent")
	alice.Send("d UID SEARCH ALL")
	c.page("overview", "Who waits")
	c.Until("alice waits", `/alice@example.org[^]*UID SEARCH for [\d.]+ s, 100 % at the server/.test(`+
		`document.querySelector('[aria-label^="Who waits"]').innerText)`)
	breaks("mend", "mbx2")
	for _, warning := range c.Warnings() {
		t.Errorf("the browser's console: %s", warning)
	}
}

// recipe pastes the commands, in their order, until each shows what the page says. Alice works meanwhile.
func (d *demoRun) recipe(t *testing.T, work func()) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### Mail is slow for alice\n")
	section, _, _ = strings.Cut(section, "\n## ")
	commands := testkit.ShownCommands(section)
	shows := []string{`\d\.\d+s +UID SEARCH +ok +alice@example.org +mbx2`, `mbx2 .* [1-9]\d?(\.\d+)?s `,
		`uid search +SUBJECT \{12\} +[1-9]\d{3}ms`}
	if len(commands) != len(shows) {
		t.Fatalf("the page has the commands %q", commands)
	}
	for i, args := range commands {
		var status int
		var out, errs string
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("portico %s: %d\n%s%s", strings.Join(args, " "), status, out, errs)
			}
		})
		testkit.Eventually(t, shows[i], func() bool {
			work()
			status, out, errs = command(args...)
			return status == cli.StatusFine && regexp.MustCompile(shows[i]).MatchString(out) &&
				!strings.Contains(out, "4711")
		})
	}
}

// clicks finds the same in the console, without a token.
func (c *console) clicks(t *testing.T) {
	t.Helper()
	click := func(text string) {
		t.Helper()
		link := fmt.Sprintf("[...document.querySelectorAll('nav a, main a')].find((a) => a.textContent === %q)", text)
		c.Until("link "+text, link)
		c.Run(link+".click()", nil)
	}
	shows := func(pattern string) {
		t.Helper()
		c.Until(pattern, "/"+pattern+"/.test(document.querySelector('main').innerText)")
	}
	click("User")
	c.Run("document.querySelector('main input').focus()", nil)
	c.Type("alice\r")
	shows(`UID SEARCH\s+[\d.]+ s\s+ok\s+mbx2`)
	click("UID SEARCH")
	c.Until("filter by command", "document.querySelector('main [name=by]')?.value === 'server' && "+
		"document.querySelector('main [name=verb]').value === 'UID SEARCH'")
	shows(`mbx2: [1-9][.\d]* s, highest`)
	shows(`mbx1: .*highest [\d.]+ (ms|µs)`)
	c.Run("history.back()", nil)
	click("rows")
	shows(`uid search\s+SUBJECT \{12\}\s+[\d.]+ s`)
	if text := c.Text(); strings.Contains(text, "4711") {
		t.Errorf("the text of a search is shown: %s", text)
	}
}
