package node

import (
	"bufio"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/browser"
)

// What others choose here: it is markup for a browser, and commands and a change of direction for a terminal.
const (
	markup  = `<img/src=/x/onerror=window.harmed=1><script>window.harmed=1</script>`
	hostile = markup + "\x1b[31m\x1b]0;harmed\x07\u202e\u009b2J"
)

// insolent is a mailbox server that signs in everybody but those with the password wrong, and refuses all else, late.
// All that it says is hostile.
func insolent(t *testing.T) (address string) {
	t.Helper()
	ln := testkit.Listen(t)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN ID] %s\r\n", hostile)
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					tag, rest, _ := strings.Cut(lines.Text(), " ")
					verb, _, _ := strings.Cut(rest, " ")
					answer := "NO [" + markup + "] " + hostile
					switch {
					case strings.Contains(rest, "{"): // a name, and a password that is not judged
						for n := 0; n < 2 && lines.Scan(); n++ {
							if !strings.HasSuffix(lines.Text(), "}") && n == 0 {
								break
							}
						}
						answer = "OK [CAPABILITY IMAP4rev1 ID] " + hostile
					case strings.Contains(rest, "wrong"):
						answer = "NO [AUTHENTICATIONFAILED] " + hostile
					case verb == "LOGIN", verb == "AUTHENTICATE":
						answer = "OK [CAPABILITY IMAP4rev1 ID] " + hostile
					case verb == "SELECT":
						time.Sleep(150 * time.Millisecond) // slow enough to be listed
					}
					fmt.Fprintf(conn, "%s %s\r\n", tag, answer)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// Texts that clients and mailbox servers choose do no harm where operators read them: in no page of the console, and in
// no command.
func TestTextsOfOthers(t *testing.T) {
	site := newSite(t)
	leaving := testkit.Scripted(t, nil, "S: * BYE "+hostile+"\nclose")
	site.put(t, "health.password", "secret\n")
	r := site.serve(t, site.writeWithout(t, "mailbox_servers", fmt.Sprintf(`mailbox_servers:
  mbx1: {address: %q, tls: none}
  mbx2: {address: %q, tls: none}
settings: {protocol_log_enabled: true, login_type: plain_text_login}
penalties: {first: 100ms}
health:
  mailboxes: {db1: {user: health, password_file: health.password}}
  self_test: {interval: 1s, timeout: 5s, failures: 1}
  deep_test: {interval: 1s, timeout: 5s, failures: 1}
`, insolent(t), leaving.Addr())))
	user := markup + "\u202e"
	in := r.signsInAs(t, user)
	refused := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	refused.Expect("* OK *")
	refused.Send(fmt.Sprintf(`a LOGIN "%s" wrong`, markup))
	refused.Expect("a NO *")
	in.Send(fmt.Sprintf(`b SELECT "%s"`, markup))
	in.ReadUntilTagged("b")
	for _, monitor := range []string{"ImapDeepTestMonitor/db1", "ImapSelfTestMonitor/mbx2"} {
		testkit.Eventually(t, monitor+" fails", func() bool {
			return strings.Contains(r.monitors(t)[monitor].Error, markup)
		})
	}
	r.commandsShow(t, user)
	r.pagesShow(t, user)
}

// signsInAs returns a client that has signed in under any name, and has said who it is.
func (r *running) signsInAs(t *testing.T, user string) *testkit.Conn {
	t.Helper()
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	c.Expect("* OK *")
	c.Command("i", fmt.Sprintf(`ID ("name" "%s" "version" "%s")`, markup, markup))
	c.SendRaw(fmt.Sprintf("a LOGIN {%d+}\r\n%s secret\r\n", len(user), user))
	c.Expect("a OK *")
	return c
}

// commandsShow tries the commands that show texts of others.
func (r *running) commandsShow(t *testing.T, user string) {
	t.Helper()
	for _, args := range [][]string{
		{"session", "list"}, {"session", "list", "-o", "list"}, {"session", "list", "-o", "json"}, {"session", "slow"},
		{"user", "where", user}, {"penalty", "list"}, {"server", "list"}, {"server", "list", "-o", "json"},
		{"health", "get", "-o", "list"}, {"probe", "history", "IMAP.Protocol/ImapSelfTestProbe/mbx2", "-o", "list"},
		{"log", "show", "--from", "1h"}, {"top", "--once"},
	} {
		_, out, errs := command(append(args, "--admin", filepath.Join(r.site.dir, "admin.sock"))...)
		if text := out + errs; strings.ContainsAny(text, "\x1b\x07\u009b\u202e") {
			t.Errorf("%q writes to the terminal: %q", args, text)
		} else if !strings.Contains(text, "window.harmed") && args[0] != "user" {
			t.Errorf("%q shows no text of others: %s", args, text)
		}
	}
}

// pagesShow looks at the pages that show texts of others.
func (r *running) pagesShow(t *testing.T, user string) {
	t.Helper()
	tab := browser.Open(t)
	tab.Look(1440, 900, "light")
	tab.Visit("http://" + r.api.address.String() + "/")
	tab.Until("overview", "document.querySelector('.verdict .state')")
	var session, name string
	tab.Run("fetch('/api/v1/slow').then((a) => a.json()).then((rows) => rows[0].session)", &session)
	tab.Run("encodeURIComponent("+fmt.Sprintf("%q", user)+")", &name)
	for page, shows := range map[string]string{"overview": markup, "sessions": markup + `\u{202e}`,
		"user?user=" + name: markup + `\u{202e}`, "health": markup, "alerts": "No alert", "servers": markup,
		"log?past=" + session: markup, "traffic": "mbx1", "databases": "db1", "nodes": "ImapProxy",
		"runbooks": "A runbook", "settings": "login_type"} {
		tab.Run(fmt.Sprintf("location.hash = %q", page), nil)
		tab.Until("text on "+page, fmt.Sprintf("document.querySelector('main').innerText.includes(%q)", shows))
		var harm int
		tab.Run("(window.harmed ?? 0) + document.querySelectorAll("+
			`"img, iframe, object, script:not([src='/console/main.js'])").length`, &harm)
		if text := tab.Text(); harm != 0 || strings.ContainsAny(text, "\x1b\x07\u009b\u202e") {
			t.Errorf("%s: %d harms, %q", page, harm, text)
		}
	}
	for _, warning := range tab.Warnings() {
		t.Errorf("the browser's console: %s", warning)
	}
}
