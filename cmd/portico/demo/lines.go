package demo

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// line is a line to paste into a shell.
type line struct{ what, line string }

// lines are what to try first, for the addresses that Portico has.
func (d *site) lines(listeners []net.Addr, http net.Addr) []line {
	starttls, implicit := listeners[0].(*net.TCPAddr), listeners[1].(*net.TCPAddr)
	ca, socket := quoted(d.path("ca.crt")), quoted(d.path("admin.sock"))
	program := "portico"
	if path, err := os.Executable(); err == nil {
		program = quoted(path)
	}
	const dialogue = `a LOGIN alice demo\nb SELECT INBOX\nc FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\nd LOGOUT\n`
	python := fmt.Sprintf(`import imaplib, ssl, sys
box = imaplib.IMAP4("127.0.0.1", %d)
box.starttls(ssl.create_default_context(cafile=sys.argv[1]))
box.login("carol", "demo")
box.select("INBOX")
print(box.search(None, "UNSEEN"))
box.logout()`, starttls.Port)
	return []line{
		{"alice's folders; plain text is allowed on loopback",
			fmt.Sprintf("curl -sS -u alice:demo imap://%s/", starttls)},
		{"her first mail, over STARTTLS",
			fmt.Sprintf("curl -sS -u alice:demo --ssl-reqd --cacert %s 'imap://%s/INBOX;MAILINDEX=1'", ca, starttls)},
		{"bob's first mail, over TLS", fmt.Sprintf("curl -sS -u bob:demo --cacert %s 'imaps://%s/INBOX;MAILINDEX=1'",
			ca, implicit)},
		{"IMAP by hand; leave out the printf to type commands yourself",
			fmt.Sprintf("printf '%s' | openssl s_client -quiet -crlf -verify_return_error -CAfile %s -connect %s",
				dialogue, ca, implicit)},
		{"Python", fmt.Sprintf("python3 -c %s %s", quoted(python), ca)},
		{"the metrics", fmt.Sprintf("curl -sS http://%s/metrics | grep ^portico_", http)},
		{"readiness, over the admin socket",
			fmt.Sprintf("curl -sS --unix-socket %s http://localhost/readyz", socket)},
		{"list the sessions; the first line selects the demo's Portico",
			fmt.Sprintf("export PORTICO_ADMIN=%s; %s session list", socket, program)},
		{"stop a mailbox server; within a minute health recovery shows its database move; demo mend repairs it",
			fmt.Sprintf("export PORTICO_ADMIN=%s; %s demo break mbx1", socket, program)},
	}
}

// welcome is what the demo prints when it runs.
func (d *site) welcome(listeners []net.Addr, http net.Addr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The demo is running; Ctrl-C ends it. Its files and admin.sock are in %s\n", d.dir)
	fmt.Fprintf(&b, "Every user's password is %q. Users and their mailboxes:", password)
	for _, user := range userNames {
		fmt.Fprintf(&b, " %s on %s,", user, d.homes[user])
	}
	fmt.Fprintf(&b, " as the first header line of each mail also shows.\n"+
		"The console is http://%s/ in a browser. Sign in there with the token %s to change things.\n", http, d.token)
	fmt.Fprintf(&b, "\nTo paste into another terminal:\n")
	for _, l := range d.lines(listeners, http) {
		fmt.Fprintf(&b, "\n%s:\n%s\n", l.what, l.line)
	}
	b.WriteString("\n")
	return b.String()
}

// quoted makes text one word of a shell.
func quoted(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
