package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// The filter that people copy finds the address of each refused sign-in in what a running service has written, and no
// other: whatever name a client gives.
func TestFail2banFilter(t *testing.T) {
	testkit.Need(t, "fail2ban-regex")
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.writeWithout(t, "admin", "admin: {socket: admin.sock, address: \"\"}\npenalties: {first: 0s}\n")
	site.replace(t, `listeners: [`, `listeners: [{address: "[::1]:0", tls: implicit}, `)
	r := site.serve(t, file)
	try := func(listener int, command string) string {
		t.Helper()
		c := testkit.Dial(t, r.clients.listeners.addresses()[listener].String(), r.trust())
		defer c.Close()
		c.Expect("* OK *")
		c.Send("a " + command)
		lines := c.ReadUntilTagged("a")
		return lines[len(lines)-1]
	}
	forged := strings.NewReplacer("'",
		`\"`).Replace(`x','mechanism':'PLAIN','tls':'none','result':'bad_credential','server':'','remote':'192.0.2.66:1`)
	for _, command := range []string{
		"LOGIN alice wrong", "LOGIN nobody wrong", `LOGIN "a*b" wrong`, `LOGIN "` + forged + `" wrong`,
		`LOGIN "a\\" wrong`, "LOGIN " + strings.Repeat("x", 600) + " wrong", "AUTHENTICATE PLAIN AGFsaWNlAHdyb25n",
	} {
		for _, listener := range []int{0, 2} {
			if got := try(listener, command); !strings.HasPrefix(got, "a NO [AUTHENTICATIONFAILED]") {
				t.Errorf("%s: %s", command, got)
			}
		}
	}
	// of each address
	const refused = 7
	// nobody is banned for these
	for _, command := range []string{"LOGIN alice secret", "AUTHENTICATE NONE", "LOGIN alice", "NOOP"} {
		try(2, command)
	}
	r.logged(t, `"result":"signed_in"`)

	log := filepath.Join(t.TempDir(), "portico.log")
	lines := r.log.String()
	journal := regexp.MustCompile(`(?m)^\{`).ReplaceAllString(lines, "mail portico[4711]: {")
	for name, text := range map[string]string{"file": lines, "journal": journal} {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("fail2ban-regex", "-o", "<ip> <time>", log,
			filepath.Join(root, "configs", "fail2ban", "filter.d", "portico.conf")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found := make(map[string]int)
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			address, _, _ := strings.Cut(line, " ")
			found[address]++
		}
		if len(found) != 2 || found["127.0.0.1"] != refused || found["::1"] != refused {
			t.Errorf("%s: found %v\n%s", name, found, text)
		}
	}
}

// The line of a sign-in has its fields in this order, and a name cannot leave its place.
func TestSignInLine(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, "penalties: {first: 0s}\n"))
	r.signIn(t)
	r.logged(t, `"result":"signed_in"`)
	c := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil)
	c.Expect("* OK *")
	c.Send("a LOGIN alice secret")
	c.Expect("a NO [PRIVACYREQUIRED] *")
	c.Send("b AUTHENTICATE UNHEARD-OF")
	c.Expect("b NO [CANNOT] *")
	c.Close()
	testkit.Eventually(t, "all lines",
		func() bool { return strings.Contains(r.log.String(), `"result":"no_mechanism"`) })
	for _, want := range []string{
		`"user":"alice","mechanism":"command","tls":"TLS 1.3","result":"signed_in","server":"mbx1"`,
		`"user":"","mechanism":"command","tls":"none","result":"privacy_required","server":"","time"`,
		`"user":"","mechanism":"other","tls":"none","result":"no_mechanism","server":"","time"`,
	} {
		form := `(?m)^\{"level":"[a-z]+","session":"[0-9a-f]{16}","listener":"[^"]*","remote":"127.0.0.1:\d+",` + want
		if !regexp.MustCompile(form).MatchString(r.log.String()) {
			t.Errorf("no line with %s", want)
		}
	}
	if n := strings.Count(r.log.String(), `"mechanism":`); n != 3 {
		t.Errorf("%d lines for 3 sign-ins", n)
	}

	quiet := newSite(t)
	quiet.serveMail(t)
	q := quiet.serve(t, quiet.write(t, "log: {signins: false}\n"))
	q.signIn(t).Close()
	testkit.Eventually(t, "the session's end", func() bool {
		_, m := q.get(t, "/metrics")
		return strings.Contains(m, `portico_sessions{state="relayed"} 0`)
	})
	if strings.Contains(q.log.String(), `"mechanism":`) {
		t.Error("a line in spite of signins: false")
	}
}
