package demo_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/browser"
	"portico/cmd/portico/cli"
)

var pictures = flag.String("pictures", "", "folder for pictures of the console")

// console is the demo's console in a browser.
type console struct {
	*browser.Tab
	t          *testing.T
	url, token string
}

func openConsole(t *testing.T, d *demoRun) *console {
	t.Helper()
	line := regexp.MustCompile(`The console is (http://[^ ]+/) in a browser. Sign in there with the token ([A-Z0-9]+) `)
	said := line.FindStringSubmatch(d.out.String())
	if said == nil {
		t.Fatalf("the demo does not name its console: %s", d.out)
	}
	c := &console{browser.Open(t), t, said[1], said[2]}
	c.Look(1440, 900, "light")
	c.Visit(c.url)
	c.Until("overview", "document.querySelector('.verdict .state')")
	return c
}

// page opens a page of the console, and waits until it shows what was asked for.
func (c *console) page(hash, shows string) {
	c.t.Helper()
	c.Run(fmt.Sprintf("location.hash = %q", hash), nil)
	c.Until(shows, fmt.Sprintf("document.querySelector('main').innerText.includes(%q)", shows))
}

// press presses the button of that name, or the first whose name begins so, on the page or in the dialog.
func (c *console) press(name string) {
	c.t.Helper()
	button := fmt.Sprintf("[...document.querySelectorAll('dialog button, button')].find((b) => "+
		"(b.ariaLabel ?? b.textContent).startsWith(%q) && !b.disabled && (!document.querySelector('dialog') || "+
		"b.closest('dialog')))", name)
	c.Until("button "+name, button)
	c.Run(button+".click()", nil)
}

// told waits for what the console says has become of a change.
func (c *console) told(text string) {
	c.t.Helper()
	c.Until(text, fmt.Sprintf("document.querySelector('#notes').innerText.includes(%q) && "+
		"!document.querySelector('dialog')", text))
}

// signIn signs in with the keys alone.
func (c *console) signIn() {
	c.t.Helper()
	c.Run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Sign in').focus()", nil)
	c.Type("\r")
	c.Until("dialog", "document.activeElement.name === 'token'")
	c.Type(c.token + "\r")
	c.told("Signed in: token admin.token")
}

// picture writes a picture of the page.
func (c *console) picture(name string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), c.Picture(), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// Each page works wide and narrow, light and dark, without a fault for people who use a screen reader, and without a
// word in the browser's console.
func TestConsolePages(t *testing.T) {
	d := startDemo(t, t.TempDir())
	defer d.stop(t)
	for _, user := range []string{"alice", "bob", "bob", "carol"} {
		client := signedIn(t, d, user)
		client.Command("b", "SELECT INBOX")
		client.Command("c", "FETCH 1:* BODY.PEEK[]")
	}
	c := openConsole(t, d)
	if text := c.Text(); !strings.Contains(text, "not signed in: read only") {
		t.Errorf("not signed in: %s", text)
	}
	c.signIn()
	var pages []string
	c.Run("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))", &pages)
	if len(pages) < 10 {
		t.Fatalf("pages: %v", pages)
	}
	shows := map[string]string{"overview": "IMAP.Proxy", "sessions": "carol@example.org",
		"user": "alice@example.org", "servers": "mbx2", "databases": "db2", "health": "IMAP.Protocol",
		"alerts": "No alert is open", "runbooks": "A runbook", "log": "No rule is in force",
		"settings": "login_type", "nodes": "ImapProxy", "traffic": "Last minute"}
	for _, page := range pages {
		if shows[page] == "" {
			t.Errorf("page %s is new: say what it shows", page)
			continue
		}
		hash := page
		if page == "user" {
			hash = "user?user=alice@example.org"
		}
		for _, look := range []struct {
			width  int64
			scheme string
		}{{1440, "light"}, {1440, "dark"}, {380, "light"}, {380, "dark"}} {
			c.Look(look.width, 900, look.scheme)
			c.page(hash, shows[page])
			name := fmt.Sprintf("%s-%d-%s", page, look.width, look.scheme)
			var wide int
			if c.Run("document.documentElement.scrollWidth - innerWidth", &wide); wide > 0 {
				t.Errorf("%s is %d pixels wider than the window", name, wide)
			}
			for _, fault := range c.Faults() {
				t.Errorf("%s: %s", name, fault)
			}
			if *pictures != "" {
				c.picture(name)
			}
		}
	}
	for _, warning := range c.Warnings() {
		t.Errorf("the browser's console: %s", warning)
	}
}

// signedIn is a client of the demo.
func signedIn(t *testing.T, d *demoRun, user string) *testkit.Conn {
	t.Helper()
	address := regexp.MustCompile("imap://([0-9.:]+)/").FindStringSubmatch(d.out.String())[1]
	client := testkit.Dial(t, address, nil)
	client.Expect("* OK *")
	client.Command("a", "LOGIN "+user+" demo")
	return client
}

// What operators do most is done from the console alone, and undone.
func TestConsoleChanges(t *testing.T) {
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", filepath.Join(dir, "admin.sock"))
	alice, bob := signedIn(t, d, "alice"), signedIn(t, d, "bob")
	c := openConsole(t, d)
	c.page("servers", "mbx1")
	c.Until("that nobody may change", "[...document.querySelectorAll('main button')].every((b) => b.disabled)")
	c.signIn()

	c.page("sessions?user=bob", "bob@example.org")
	c.press("End session")
	c.press("End the session")
	c.told("1 session of bob@example.org ended.")
	bob.Expect("* BYE *")

	c.page("user?user=alice", "possible")
	c.press("Log alice@example.org")
	c.press("Begin")
	c.told("Logging alice@example.org for 10 min.")
	testkit.Eventually(t, "rows of alice", func() bool {
		alice.Command("n", "NOOP")
		return strings.Contains(c.Text(), "noop")
	})
	c.press("End the rule for user alice@example.org")
	c.press("End the rule")
	c.told("The rule has ended.")

	c.page("databases", "db1")
	c.press("Move db1")
	c.press("Move the database")
	c.told("db1 was on mbx1, and is on mbx2 now.")

	c.page("servers", "mbx2")
	c.press("Drain mbx2")
	c.Until("what would move", "document.querySelector('dialog').innerText.includes('db1 moves to mbx1')")
	c.press("Drain the server")
	c.told("mbx2")
	c.press("End maintenance of mbx2")
	c.press("End maintenance")
	c.Until("no maintenance", "!document.querySelector('main').innerText.includes('maintenance')")

	c.press("Pause sign-ins to mbx1")
	c.press("Pause")
	c.told("Sign-ins to mbx1 are paused.")
	c.press("Resume sign-ins to mbx1")
	c.press("Resume")
	c.told("Sign-ins to mbx1 are admitted again.")

	c.page("settings", "login_type")
	c.press("Change login_type")
	c.Until("that the settings are loaded", "!document.querySelector('dialog [type=submit]').disabled")
	c.Run("document.querySelector('dialog input').select()", nil)
	c.Type("bogus\r")
	c.Until("an error", "document.querySelector('dialog [role=alert]').textContent.includes('login_type')")
	c.Run("document.querySelector('dialog input').select()", nil)
	c.Type("secure_login\r")
	c.told("login_type is secure_login now.")
	c.press("Reset login_type")
	c.press("Reset the setting")
	c.told("login_type is plain_text_login now.")
	c.press("Change banner")
	c.Until("the banner", "document.querySelector('dialog').innerText.includes('is Portico is ready. already')")
	c.Run("document.querySelector('dialog input').select()", nil)
	c.Type("of Ann")
	if status, _, errs := command("settings", "set", "banner=of Bob"); status != cli.StatusFine {
		t.Fatal(errs)
	}
	c.Type("\r")
	c.Until("the other change", "document.querySelector('dialog [role=alert]').textContent.includes('first') && "+
		"document.querySelector('dialog').innerText.includes('banner is of Bob, and becomes of Ann')")
	c.press("Change the setting")
	c.told("banner is of Ann now.")

	c.runbook()

	c.press("Sign out")
	c.told("Signed out.")
	c.page("servers", "mbx1")
	c.Until("that nobody may change", "[...document.querySelectorAll('main button')].every((b) => b.disabled)")
	if warnings := slices.DeleteFunc(c.Warnings(), func(w string) bool {
		return strings.Contains(w, "400") || strings.Contains(w, "409") || strings.Contains(w, "412")
	}); len(warnings) > 0 { // the refused changes
		t.Errorf("the browser's console: %q", warnings)
	}
}

// runbook takes the first step for a mailbox server that has stopped. The step cannot help, and says why.
func (c *console) runbook() {
	c.t.Helper()
	if status, _, errs := command("demo", "break", "mbx1"); status != cli.StatusFine {
		c.t.Fatal(errs)
	}
	c.page("runbooks?book=selftest&target=mbx1", "A runbook")
	c.press("Check")
	c.Until("the fault", "/ImapSelfTestProbe: Failed. .*connection refused/.test("+
		"document.querySelector('[role=log]')?.innerText)")
	c.press("Do it")
	c.press("Do it")
	c.Until("the step's result", "document.querySelector('.steps li')?.innerText.includes('Skipped')")
	c.Until("why", "document.querySelector('[role=log]')?.innerText.includes('no hook is configured')")
	if status, _, errs := command("demo", "mend", "mbx1"); status != cli.StatusFine {
		c.t.Fatal(errs)
	}
}

// The pictures of the documents, with -pictures: a demo with some work, one of whose servers stops.
func TestConsolePictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("no folder for pictures is given")
	}
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", filepath.Join(dir, "admin.sock"))
	work(t, d)
	c := openConsole(t, d)
	c.signIn()
	c.Run("document.querySelector('#notes').replaceChildren()", nil)
	for _, p := range []struct {
		name, hash, shows string
		width, height     int64
		scheme            string
	}{
		{"console-overview", "overview", "IMAP.Protocol", 1100, 800, "light"},
		{"console-user", "user?user=alice@example.org", "127.0.0.1:", 1100, 800, "dark"},
		{"console-phone", "servers", "mbx2", 380, 760, "light"},
	} {
		c.Look(p.width, p.height, p.scheme)
		c.page(p.hash, p.shows)
		c.picture(p.name)
	}
	breaks := func(args ...string) {
		t.Helper()
		if status, _, errs := command(append([]string{"demo"}, args...)...); status != cli.StatusFine {
			t.Fatal(errs)
		}
	}
	breaks("break", "mbx2", "--slow")
	work(t, d)
	alice := signedIn(t, d, "alice")
	alice.Command("b", "SELECT INBOX")
	alice.Send("c UID FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")
	c.Look(1100, 1250, "light")
	c.page("overview", "at the server")
	c.picture("console-slow")
	breaks("mend", "mbx2")
	breaks("break", "mbx1")
	c.Look(1100, 800, "light")
	c.page("health", "IMAP.Protocol")
	testkit.Eventually(t, "a fault", func() bool { return strings.Contains(c.Text(), "To look at") })
	c.picture("console-health")
}

// work gives the demo's users something to do, for a while.
func work(t *testing.T, d *demoRun) {
	t.Helper()
	clients := []*testkit.Conn{signedIn(t, d, "alice"), signedIn(t, d, "bob"), signedIn(t, d, "carol")}
	for _, client := range clients {
		client.Command("b", "SELECT INBOX")
	}
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
		for _, client := range clients[:1+rand.IntN(len(clients))] {
			client.Command("c", "UID FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")
			client.Command("d", "NOOP")
		}
	}
}
