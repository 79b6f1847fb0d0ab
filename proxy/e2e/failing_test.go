package e2e

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

// What clients read of failing mailbox servers.
const (
	saysUnavailable = "NO [UNAVAILABLE] Temporary failure, try again later."
	saysBad         = "NO [AUTHENTICATIONFAILED] Authentication failed."
)

// short is the time-out of the phase in which a server hangs.
const short = 300 * time.Millisecond

// failure is a mailbox server that does not sign a user in.
type failure struct {
	name   string
	mode   backend.TLSMode
	script string
	want   string // told to the client, behind its tag
	metric string // label of the outcome
	hangs  func(*backend.Timeouts) *time.Duration
}

func dialTime(t *backend.Timeouts) *time.Duration     { return &t.Dial }
func tlsTime(t *backend.Timeouts) *time.Duration      { return &t.TLS }
func greetingTime(t *backend.Timeouts) *time.Duration { return &t.Greeting }
func signInTime(t *backend.Timeouts) *time.Duration   { return &t.SignIn }

const (
	greets  = "S: * OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] hello\n"
	login   = greets + "C: ${tag} LOGIN * *\n"
	accepts = login + "S: ${tag} OK [CAPABILITY IMAP4rev1] in\nanswer-all\n"
)

func failures() []failure {
	const none, start, implicit = backend.TLSNone, backend.TLSStartTLS, backend.TLSImplicit
	return []failure{
		{"hangs before the greeting", none, "silent", saysUnavailable, "server_timeout", greetingTime},
		{"hangs in the greeting", none, "raw \"* OK [CAPA\"\nsilent", saysUnavailable, "server_timeout", greetingTime},
		{"hangs before the capabilities", none, "S: * OK\nsilent", saysUnavailable, "server_timeout", greetingTime},
		{"hangs in the handshake", implicit, "silent", saysUnavailable, "server_timeout", tlsTime},
		{"hangs before STARTTLS", start, greets + "silent", saysUnavailable, "server_timeout", tlsTime},
		{"hangs behind STARTTLS", start, greets + "C: ${tag} STARTTLS\nS: ${tag} OK\nsilent", saysUnavailable,
			"server_timeout", tlsTime},
		{"hangs before the answer", none, login + "silent", saysUnavailable, "server_timeout", signInTime},
		{"hangs in the answer", none, login + "raw \"a OK\"\nsilent", saysUnavailable, "server_timeout", signInTime},
		{"trickles", none, login + strings.Repeat("S: * OK wait\nsleep 50ms\n", 40), saysUnavailable, "server_timeout",
			signInTime},

		{"closes at once", none, "close", saysUnavailable, "server_closed", nil},
		{"resets instead of a greeting", none, "sleep 100ms\nreset", saysUnavailable, "server_closed", nil},
		{"closes in the greeting", none, "raw \"* OK\"\nclose", saysUnavailable, "server_closed", nil},
		{"closes in the handshake", implicit, "close", saysUnavailable, "server_tls", nil},
		{"closes behind STARTTLS", start, greets + "C: ${tag} STARTTLS\nS: ${tag} OK\nclose", saysUnavailable,
			"server_tls", nil},
		{"closes before the answer", none, login + "close", saysUnavailable, "server_closed", nil},
		{"resets before the answer", none, login + "reset", saysUnavailable, "server_closed", nil},
		{"closes in the answer", none, login + "raw \"a OK\"\nclose", saysUnavailable, "server_closed", nil},

		{"PREAUTH", none, "S: * PREAUTH [CAPABILITY IMAP4rev1] root\nsilent", saysUnavailable, "server_greeting", nil},
		{"PREAUTH instead of STARTTLS", start, "S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] root\nsilent",
			saysUnavailable, "server_greeting", nil},
		{"bytes behind STARTTLS", start, greets + "starttls \"* CAPABILITY IMAP4rev1\\r\\n\"", saysUnavailable,
			"server_greeting", nil},
		{"OK behind STARTTLS", start, greets + "starttls \"a OK in\\r\\n\"", saysUnavailable, "server_greeting", nil},
		{"refuses STARTTLS", start, greets + "C: ${tag} STARTTLS\nS: ${tag} NO not today\nsilent", saysUnavailable,
			"server_tls", nil},
		{"does not know STARTTLS", start, greets + "C: ${tag} STARTTLS\nS: ${tag} BAD what\nsilent", saysUnavailable,
			"server_tls", nil},
		{"no TLS where it should be", implicit, "S: * OK plain\nsilent", saysUnavailable, "server_tls", nil},

		{"speaks HTTP", none, "S: HTTP/1.1 400 Bad Request\nsilent", saysUnavailable, "server_greeting", nil},
		{"speaks SMTP", none, "S: 220 mail ESMTP\nsilent", saysUnavailable, "server_greeting", nil},
		{"speaks in zeros", none, "raw \"\\x00\\x00\\x00\\r\\n\"\nsilent", saysUnavailable, "server_greeting", nil},
		{"greets with NO", none, "S: * NO\nsilent", saysUnavailable, "server_greeting", nil},
		{"greets without end", none, "raw \"* OK \"\nsend 200000\nsilent", saysUnavailable, "server_greeting", nil},
		{"greets with a literal without end", none, "S: * LIST {9999999999}\nsilent", saysUnavailable,
			"server_greeting", nil},
		{"answers without end", none, login + "raw \"* LIST () {100000}\\r\\n\"\nsend 100000\nsilent", saysUnavailable,
			"server_protocol", nil},
		{"answers another tag", none, login + "S: other OK in\nsilent", saysUnavailable, "server_protocol", nil},
		{"answers BAD", none, login + "S: ${tag} BAD what\nsilent", saysBad, "bad_credential", nil},
		{"answers BAD without a tag", none, login + "S: * BAD what\nsilent", saysBad, "bad_credential", nil},
		{"answers with noise", none, login + "raw \"\\xff\\xfe\\r\\n\"\nsilent", saysUnavailable,
			"server_protocol", nil},
		{"continues for ever", none, login + "S: +\nS: +\nS: +\nsilent", saysUnavailable, "server_protocol", nil},
		{"PREAUTH for an answer", none, login + "S: * PREAUTH\nsilent", saysUnavailable, "server_protocol", nil},

		{"BYE for a greeting", none, "S: * BYE [UNAVAILABLE] later\nsilent", "NO [UNAVAILABLE] Sign-in refused.",
			"server_refused", nil},
		{"BYE without a code", none, "S: * BYE too many processes\nsilent", saysUnavailable, "server_refused", nil},
		{"BYE for an answer", none, login + "S: * BYE [ALERT] Come back tomorrow\nsilent",
			"NO [ALERT] Come back tomorrow", "server_refused", nil},

		{"NO without a code", none, login + "S: ${tag} NO user ada is unknown here", saysBad, "bad_credential", nil},
		{"NO with an unknown code", none, login + "S: ${tag} NO [X-SHARD 17] 10.0.0.3", saysUnavailable,
			"server_refused", nil},
		{"ALERT", none, login + "S: ${tag} NO [ALERT] Your password has expired, see intranet",
			"NO [ALERT] Your password has expired, see intranet", "server_refused", nil},
		{"ALERT with noise", none, login + "raw \"${tag} NO [ALERT] \\x1b[31mred\\x00\\xff\\x7f\\r\\n\"",
			"NO [ALERT] ?(31mred???", "server_refused", nil},
		{"ALERT without end", none, login + "raw \"${tag} NO [ALERT] " + strings.Repeat("long ", 1000) + "\\r\\n\"",
			"NO [ALERT] " + strings.Repeat("long ", 40), "server_refused", nil},
		{"ALERT with the password", none, login + "S: ${tag} NO [ALERT] " + password + " is wrong", "NO [ALERT] *****",
			"server_refused", nil},
	}
}

// refusalCodes are those of RFC 5530 that a server may refuse a sign-in with.
var refusalCodes = []string{
	"UNAVAILABLE", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN", "NOPERM", "INUSE",
	"CORRUPTION", "SERVERBUG",
	"CLIENTBUG", "CANNOT", "OVERQUOTA", "NONEXISTENT", "ALREADYEXISTS", "EXPUNGEISSUED",
}

// What a client sees of each way in which a mailbox server fails, in time; that it is counted; and that the
// connection then takes another try, which succeeds.
func TestFailingServers(t *testing.T) {
	serverTLS, trust := testkit.TLS(t)
	list := failures()
	for _, code := range refusalCodes {
		list = append(list, failure{"refuses with " + code, backend.TLSNone,
			login + "S: ${tag} NO [" + code + "] at 10.0.0.3",
			"NO [" + code + "] Sign-in refused.", "server_refused", nil})
	}
	list = append(list, failure{"refuses with LIMIT", backend.TLSNone,
		login + "S: ${tag} NO [LIMIT] Ten connections are enough",
		"NO [LIMIT] Ten connections are enough", "server_refused", nil})
	list = append(list, failure{"refuses with AUTHENTICATIONFAILED", backend.TLSNone,
		login + "S: ${tag} NO [AUTHENTICATIONFAILED] pam: no",
		saysBad, "bad_credential", nil})
	for _, fail := range list {
		t.Run(strings.ReplaceAll(fail.name, " ", "_"), func(t *testing.T) {
			testkit.NoLeaks(t)
			good := accepts
			switch fail.mode {
			case backend.TLSImplicit:
				good = "tls\n" + accepts
			case backend.TLSStartTLS:
				good = greets +
					"starttls\nC: ${tag} CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: ${tag} OK\nC: ${tag} LOGIN * " +
					"*\nS: ${tag} OK\nanswer-all"
			}
			server, err := backendtest.StartScripted(testkit.Listen(t), serverTLS, fail.script, good)
			must(t, err)
			t.Cleanup(func() { server.Close() }) // that the script was left is no fault
			checkFailure(t, fail, backend.ServerOptions{TLS: fail.mode, TLSConfig: trust,
				Addresses: []string{server.Addr()}}, true)
		})
	}
}

// checkFailure signs in, and again if that is to succeed.
func checkFailure(t *testing.T, fail failure, server backend.ServerOptions, again bool) {
	t.Helper()
	server.Name = "mbx1"
	o := options{servers: []backend.ServerOptions{server}}
	if fail.hangs != nil {
		*fail.hangs(&o.timeouts) = short
	}
	f := startFrontEnd(t, o)
	c := f.dial(ways[0])
	began := time.Now()
	c.Send("a LOGIN ada " + password)
	told := strings.TrimRight(c.ReadLine(), " ")
	took := time.Since(began)
	if want := strings.TrimRight("a "+fail.want, " "); told != want {
		t.Errorf("told %q, want %q", told, want)
	}
	if fail.hangs != nil && took < short || took > short+testkit.Patience/2 {
		t.Errorf("took %v", took)
	}
	if n := f.metric("portico_signin_refusals_total", "result", fail.metric); n != 1 {
		t.Errorf("not counted as %s:\n%s", fail.metric, f.log)
	}
	if again {
		signsIn := func() bool {
			c.Send("b LOGIN ada " + password)
			lines := c.ReadUntilTagged("b")
			return strings.HasPrefix(lines[len(lines)-1], "b OK")
		}
		if fail.hangs != nil { // a busy machine may take longer than short
			testkit.Eventually(t, "another try succeeds", signsIn)
		} else if !signsIn() {
			t.Error("another try fails")
		}
		c.Command("c", "NOOP")
	}
	c.Command("d", "LOGOUT")
}

// Servers that cannot be reached at all.
func TestUnreachableServers(t *testing.T) {
	serverTLS, trust := testkit.TLS(t)
	otherCA, err := backendtest.NewCA("Other CA")
	must(t, err)
	t.Run("refuses connections", func(t *testing.T) {
		testkit.NoLeaks(t)
		ln := testkit.Listen(t)
		ln.Close()
		checkFailure(t, failure{want: saysUnavailable, metric: "server_dial"},
			backend.ServerOptions{Addresses: []string{ln.Addr().String()}}, false)
	})
	t.Run("drops packets", func(t *testing.T) {
		testkit.NoLeaks(t)
		hole, err := backendtest.StartBlackhole()
		if err != nil {
			testkit.Lack(t, err)
		}
		defer hole.Close()
		checkFailure(t, failure{want: saysUnavailable, metric: "server_timeout", hangs: dialTime},
			backend.ServerOptions{Addresses: []string{hole.Addr()}}, false)
	})
	expired, err := otherCA.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}, NotBefore: time.Unix(1e9, 0),
		NotAfter: time.Unix(1.1e9, 0)})
	must(t, err)
	misnamed, err := otherCA.Issue(backendtest.CertOptions{Hosts: []string{"other.example.org"}})
	must(t, err)
	for name, pair := range map[string][2]*tls.Config{
		"unknown authority":           {serverTLS, otherCA.ClientConfig("127.0.0.1")},
		"expired certificate":         {expired.ServerConfig(), otherCA.ClientConfig("127.0.0.1")},
		"certificate of another name": {misnamed.ServerConfig(), otherCA.ClientConfig("127.0.0.1")},
		"TLS too old":                 {{Certificates: serverTLS.Certificates, MaxVersion: tls.VersionTLS11}, trust},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			server, err := backendtest.StartScripted(testkit.Listen(t), pair[0], "tls\n"+accepts)
			must(t, err)
			t.Cleanup(func() { server.Close() })
			checkFailure(t, failure{want: saysUnavailable, metric: "server_tls"},
				backend.ServerOptions{TLS: backend.TLSImplicit, TLSConfig: pair[1],
					Addresses: []string{server.Addr()}}, false)
			if got := server.Received(1); len(got) > 0 {
				t.Errorf("a server that was not trusted got %q", got)
			}
		})
	}
}

// The next copy of an interchangeable database takes over from one that is not reached; not from one that has seen the
// credential.
func TestOtherCopy(t *testing.T) {
	for _, tt := range []struct {
		name, script, want string
		second             int // connections that the second copy gets
	}{
		{"is down", "close", "OK", 1},
		{"greets badly", "S: * BYE", "OK", 1},
		{"refuses", login + "S: ${tag} NO", saysBad, 0},
		{"dies with the credential", login + "close", saysUnavailable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			first, second := testkit.Scripted(t, nil, tt.script), testkit.Scripted(t, nil, accepts)
			f := startFrontEnd(t, options{servers: []backend.ServerOptions{
				{Name: "mbx1", Addresses: []string{first.Addr()}},
				{Name: "mbx2", Addresses: []string{second.Addr()}}}})
			c := f.dial(ways[0])
			c.Send("a LOGIN ada " + password)
			c.Expect("a " + tt.want + "*")
			if n := second.Conns(); n != tt.second {
				t.Errorf("second copy asked %d times", n)
			}
			c.Command("b", "LOGOUT")
		})
	}
}

// No refusal is free: whatever the mailbox servers say, and if they say nothing, a connection ends after a number of
// tries.
func TestTriesAreCounted(t *testing.T) {
	const badCommands, failedSignIns = 5, 3
	const tooManyBad, tooManyFailed = "* BYE Too many bad commands.", "* BYE Too many failed sign-ins."
	alert := login + "S: ${tag} NO [ALERT] no"
	for _, tt := range []struct {
		name    string
		scripts []string // one each connection, the last for all further ones
		told    []string // behind the tags
		bye     string
	}{
		{"bad credential", []string{login + "S: ${tag} NO"}, repeat(saysBad, failedSignIns), tooManyFailed},
		{"refuses", []string{alert}, repeat("NO [ALERT] no", failedSignIns), tooManyFailed},
		{"refuses or calls it bad", []string{alert, login + "S: ${tag} NO", alert},
			[]string{"NO [ALERT] no", saysBad, "NO [ALERT] no"}, tooManyFailed},
		{"refuses at once", []string{"S: * BYE no"}, repeat(saysUnavailable, failedSignIns), tooManyFailed},
		{"dead", []string{"close"}, repeat(saysUnavailable, badCommands), tooManyBad},
		{"dead, then refuses", []string{"close", "close", "close", "close", alert},
			append(repeat(saysUnavailable, badCommands-1), repeat("NO [ALERT] no", failedSignIns)...), tooManyFailed},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			testkit.NoLeaks(t)
			server := testkit.Scripted(t, nil, tt.scripts...)
			f := startFrontEnd(t, options{
				servers:  []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}},
				settings: proxy.Settings{Limits: proxy.Limits{BadCommands: badCommands, FailedSignIns: failedSignIns}},
			})
			c := f.dial(ways[0])
			for i, want := range tt.told {
				c.Sendf("a%d LOGIN ada %s", i, password)
				c.Expect(fmt.Sprintf("a%d %s", i, want))
			}
			c.Expect(tt.bye)
			c.ExpectEOF()
			if n := server.Conns(); n != len(tt.told) {
				t.Errorf("server asked %d times, want %d", n, len(tt.told))
			}
		})
	}
}

func repeat(s string, n int) []string { return slices.Repeat([]string{s}, n) }
