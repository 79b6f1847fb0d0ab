package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/proxy"
)

// Of the matrix: who signs in, and by which of the server's or the proxy's own secrets.
const (
	matrixUser  = "ada"
	matrixToken = "ya29.the-right-token"
	masterName  = "portico"
)

// exchange leads a mechanism from its command to the tagged answer, which it returns.
type exchange func(c *testkit.Conn, user, secret string) string

var exchanges = map[string]exchange{
	"command LOGIN": func(c *testkit.Conn, user, secret string) string {
		c.Sendf(`a LOGIN "%s" "%s"`, user, secret)
		return tagged(c)
	},
	"PLAIN": func(c *testkit.Conn, user, secret string) string {
		return say(c, "PLAIN", "\x00"+user+"\x00"+secret)
	},
	"LOGIN": func(c *testkit.Conn, user, secret string) string {
		return say(c, "LOGIN", user, secret)
	},
	"XOAUTH2": func(c *testkit.Conn, user, secret string) string {
		return say(c, "XOAUTH2", "user="+user+"\x01auth=Bearer "+secret+"\x01\x01", "")
	},
	"OAUTHBEARER": func(c *testkit.Conn, user, secret string) string {
		return say(c, "OAUTHBEARER", "n,a="+user+",\x01auth=Bearer "+secret+"\x01\x01", "\x01")
	},
	"SCRAM-SHA-1": func(c *testkit.Conn, user, secret string) string {
		return sayScram(c, "SCRAM-SHA-1", scram.SHA1, user, secret)
	},
	"SCRAM-SHA-256": func(c *testkit.Conn, user, secret string) string {
		return sayScram(c, "SCRAM-SHA-256", scram.SHA256, user, secret)
	},
	"EXTERNAL": func(c *testkit.Conn, user, _ string) string {
		return say(c, "EXTERNAL", user)
	},
}

// say sends the command and then a response to each challenge, and returns the tagged answer.
func say(c *testkit.Conn, mechanism string, responses ...string) string {
	c.Send("a AUTHENTICATE " + mechanism)
	for {
		line := c.ReadLine()
		switch {
		case strings.HasPrefix(line, "a "):
			return line
		case strings.HasPrefix(line, "+ ") && len(responses) > 0:
			c.Send(base64.StdEncoding.EncodeToString([]byte(responses[0])))
			responses = responses[1:]
		}
	}
}

func sayScram(c *testkit.Conn, mechanism string, hash scram.HashGeneratorFcn, user, secret string) string {
	client, err := hash.NewClientUnprepped(user, secret, "")
	if err != nil {
		panic(err)
	}
	conversation := client.NewConversation()
	c.Send("a AUTHENTICATE " + mechanism)
	for {
		line := c.ReadLine()
		if strings.HasPrefix(line, "a ") {
			if strings.HasPrefix(line, "a OK") && !conversation.Valid() {
				return "the server has not proved that it knows the password: " + line
			}
			return line
		}
		challenge, ok := strings.CutPrefix(line, "+ ")
		if !ok {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			return "no base64: " + line
		}
		response, err := conversation.Step(string(text))
		if err != nil {
			c.Send("*")
			continue
		}
		c.Send(base64.StdEncoding.EncodeToString([]byte(response)))
	}
}

func tagged(c *testkit.Conn) string {
	lines := c.ReadUntilTagged("a")
	return lines[len(lines)-1]
}

// The answers. That of the server itself begins with OK.
const (
	letIn    = "a OK *"
	wrong    = "a NO [AUTHENTICATIONFAILED] Authentication failed."
	tlsFirst = "a NO [PRIVACYREQUIRED] Start TLS before you sign in."
	notHere  = "a NO [CANNOT] Authentication mechanism not available."
	another  = "a NO [AUTHORIZATIONFAILED] Not authorized for that mailbox."
)

// matrixServer is a Dovecot that knows all mechanisms, asks the test whether a token is good, and has a master.
func matrixServer(t *testing.T) *backendtest.Dovecot {
	t.Helper()
	testkit.Need(t, "dovecot")
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close") // else the server's connection looks like a leak
		fmt.Fprintf(w, `{"active": %v, "user": %q}`, r.URL.Query().Get("token") == matrixToken, matrixUser)
	}))
	t.Cleanup(tokens.Close)
	return testkit.Dovecot(t, backendtest.DovecotOptions{
		Users:         []backendtest.User{{Name: matrixUser, Password: password}},
		Masters:       map[string]string{masterName: "sesame-for-all"},
		Mechanisms:    []string{"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"},
		TokenURL:      tokens.URL + "/?token=",
		QuickFailures: true,
	})
}

// knows is a verifier of one user.
type knows struct{ user, password string }

func (k knows) Verify(_ context.Context, q directory.Query) (string, error) {
	switch {
	case q.Login != k.user:
		return "", directory.ErrNotFound
	case q.Password.Reveal() != k.password:
		return "", directory.ErrBadCredential
	}
	return q.Login, nil
}

// TestMechanisms signs in by every mechanism, by every way in, with what is right, wrong, empty and absurd, in both
// modes.
func TestMechanisms(t *testing.T) {
	server := matrixServer(t)
	clientCA, err := backendtest.NewCA("Users")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := clientCA.Issue(backendtest.CertOptions{Hosts: []string{matrixUser}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	testkit.NoLeaks(t)

	behind := []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Plain}}}
	master := func(separator bool) func(*backend.Options) {
		return func(o *backend.Options) {
			o.Mode, o.Verifier, o.Certificates = directory.ModeMaster, knows{matrixUser, "known-to-us"}, true
			o.Master = &backend.Master{User: masterName, Password: "sesame-for-all", Separator: separator}
		}
	}
	absurd := strings.Repeat("x", 8000)
	passwords := []string{"command LOGIN", "PLAIN", "LOGIN"}
	tokens := []string{"XOAUTH2", "OAUTHBEARER"}
	scrams := []string{"SCRAM-SHA-1", "SCRAM-SHA-256"}
	type attempt struct{ user, secret, want string }
	for _, mode := range []struct {
		name     string
		backend  func(*backend.Options)
		attempts map[string][]attempt // by mechanism
	}{
		{"passthrough", func(*backend.Options) {}, map[string][]attempt{
			"passwords": {
				{matrixUser, password, letIn}, {matrixUser, "wrong", wrong}, {matrixUser, "", wrong},
				{"", password, wrong},
				{"nobody", password, wrong}, {matrixUser + "*" + masterName, "sesame-for-all", letIn},
				{matrixUser, absurd, wrong},
			},
			"tokens": {
				{matrixUser, matrixToken, letIn}, {matrixUser, "wrong", wrong}, {"nobody", matrixToken, wrong},
				{matrixUser, absurd, wrong},
			},
			"scrams": {
				{matrixUser, password, letIn}, {matrixUser, "wrong", wrong}, {"nobody", password, wrong},
				{matrixUser, absurd, wrong},
			},
			"EXTERNAL": {{"", "", notHere}},
		}},
		{"master", master(false), masterAttempts(attempt{matrixUser, "known-to-us", letIn})},
		{"separator", master(true), masterAttempts(attempt{matrixUser, "known-to-us", letIn})},
	} {
		t.Run(mode.name, func(t *testing.T) {
			f := startFrontEnd(t,
				options{servers: behind, strict: true, backend: mode.backend, clients: clientCA.Pool()})
			askMechanisms(t, f)
			groups := map[string][]string{"passwords": passwords, "tokens": tokens, "scrams": scrams,
				"EXTERNAL": {"EXTERNAL"}}
			for group, attempts := range mode.attempts {
				for _, mechanism := range groups[group] {
					for _, way := range ways {
						for _, a := range attempts {
							want := a.want
							if way.tls == proxy.TLSNone && want != notHere {
								want = tlsFirst
							}
							name := fmt.Sprintf("%s/%s/%.20q %.20q", mechanism, way.name, a.user, a.secret)
							t.Run(name, func(t *testing.T) {
								c := f.dial(way)
								defer c.Close()
								if got := exchanges[mechanism](c, a.user, a.secret); !testkit.Match(want, got) {
									t.Errorf("%s\nwant %s", got, want)
								} else if want == letIn {
									c.Command("b", "SELECT INBOX")
								}
							})
						}
					}
				}
			}
			f.gone()
		})
	}

	t.Run("certificate", func(t *testing.T) {
		f := startFrontEnd(t, options{servers: behind, strict: true, backend: master(false), clients: clientCA.Pool()})
		for user, want := range map[string]string{"": letIn, matrixUser: letIn, "bob": another} {
			conn, err := tls.Dial("tcp", f.tls, withCertificate(f.trust, shown.TLS))
			if err != nil {
				t.Fatal(err)
			}
			c := testkit.NewConn(t, conn)
			if greeting := c.Expect("* OK *"); !strings.Contains(greeting, " AUTH=EXTERNAL") {
				t.Errorf("EXTERNAL is not offered: %s", greeting)
			}
			if got := exchanges["EXTERNAL"](c, user, ""); !testkit.Match(want, got) {
				t.Errorf("for %q: %s, want %s", user, got, want)
			}
			c.Close()
		}
		f.gone()
	})

	t.Run("another's mailbox", func(t *testing.T) {
		f := startFrontEnd(t, options{servers: behind, strict: true, backend: master(false)})
		for secret, want := range map[string]string{"known-to-us": another, "wrong": wrong} {
			c := f.dial(ways[2])
			if got := say(c, "PLAIN", "bob\x00"+matrixUser+"\x00"+secret); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			c.Close()
		}
		f.gone()
	})
}

// masterAttempts are those of a mode in which the mailbox server judges nobody.
func masterAttempts[A ~struct{ user, secret, want string }](right A) map[string][]A {
	return map[string][]A{
		"passwords": {
			right, {matrixUser, password, wrong}, {matrixUser, "", wrong}, {"", "known-to-us", wrong},
			{"nobody", "known-to-us", wrong},
			{matrixUser + "*" + masterName, "sesame-for-all", wrong}, {matrixUser, strings.Repeat("x", 8000), wrong},
		},
		"tokens":   {{matrixUser, matrixToken, notHere}},
		"scrams":   {{matrixUser, "known-to-us", notHere}},
		"EXTERNAL": {{"", "", notHere}}, // without a certificate
	}
}

func withCertificate(config *tls.Config, certificate tls.Certificate) *tls.Config {
	config = config.Clone()
	config.Certificates = []tls.Certificate{certificate}
	return config
}

// askMechanisms asks the servers what they offer.
func askMechanisms(t *testing.T, f *frontEnd) {
	t.Helper()
	if err := f.tier.(*backend.Tier).AskMechanisms(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
}

// TestMessagesThatFitNoMechanism never reach the mailbox server.
func TestMessagesThatFitNoMechanism(t *testing.T) {
	server := matrixServer(t)
	testkit.NoLeaks(t)
	f := startFrontEnd(t, options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Plain}}}})
	askMechanisms(t, f)
	for _, mechanism := range []string{"PLAIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-1", "SCRAM-SHA-256"} {
		for _, message := range []string{"", "nonsense", "\x00\x00\x00\x00", "user=\x01", "n,,",
			"p=tls-unique,,n=ada,r=x", strings.Repeat("n,", 2000)} {
			c := f.dial(ways[0])
			if got := say(c, mechanism, message); got != wrong {
				t.Errorf("%s %.20q: %s", mechanism, message, got)
			}
			c.Close()
		}
		c := f.dial(ways[0])
		c.Send("a AUTHENTICATE " + mechanism)
		c.Expect("+ ")
		c.Send("*")
		if got := c.ReadLine(); got != "a BAD Authentication cancelled." {
			t.Errorf("%s: %s", mechanism, got)
		}
		c.Close()
	}
	if n := f.metric("portico_signin_duration_seconds", "phase", "dial"); n != 0 {
		t.Errorf("the mailbox server was called %v times", n)
	}
}

// TestScramWithoutTLS: it shows nothing, so login_type plain_text_authentication lets it go in plain text, and nothing
// else.
func TestScramWithoutTLS(t *testing.T) {
	server := matrixServer(t)
	testkit.NoLeaks(t)
	f := startFrontEnd(t, options{
		servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Plain}}},
		strict:  true, login: proxy.PlainTextAuthentication,
	})
	askMechanisms(t, f)
	c := testkit.Dial(t, f.plain, nil)
	c.Expect("* OK [CAPABILITY * LOGINDISABLED AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256] *")
	if got := exchanges["XOAUTH2"](c, matrixUser, matrixToken); got != tlsFirst {
		t.Error(got)
	}
	if got := exchanges["SCRAM-SHA-256"](c, matrixUser, password); !testkit.Match(letIn, got) {
		t.Error(got)
	}
	c.Close()
	f.gone()
}

// The client cancels between two challenges of the server, or goes away: the connection to the server ends with it.
func TestScramBrokenOff(t *testing.T) {
	server := matrixServer(t)
	testkit.NoLeaks(t)
	f := startFrontEnd(t, options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Plain}}}})
	askMechanisms(t, f)
	begin := func() *testkit.Conn {
		c := f.dial(ways[0])
		c.Send("a AUTHENTICATE SCRAM-SHA-256")
		c.Expect("+ ")
		c.Send(base64.StdEncoding.EncodeToString([]byte("n,,n=" + matrixUser + ",r=nonce")))
		c.Expect("+ *")
		return c
	}
	c := begin()
	c.Send("*")
	c.Expect("a BAD Authentication cancelled.")
	c.Send("b AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+matrixUser+"\x00"+password)))
	c.ReadUntilTagged("b")
	c.Close()
	c = begin()
	c.Close()
	c = begin()
	c.Send(strings.Repeat("A", 70_000))
	if got := c.ReadLine(); got != "* BYE [LIMIT] Command too long." {
		t.Error(got)
	}
	c.Close()
	f.gone()
}
