package bench

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

const rightToken = "ya29.a-token-that-is-good-for-all"

// tokenServer says of a token whether it is good, and that it is user1's.
func tokenServer(t *testing.T) string {
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close") // else the server's connection looks like a leak
		fmt.Fprintf(w, `{"active": %v, "user": "user1"}`, r.URL.Query().Get("token") == rightToken)
	}))
	t.Cleanup(tokens.Close)
	return tokens.URL + "/?token="
}

// TestMechanismsAndExtensions signs in to a real server by each mechanism, with and without ID and compression.
func TestMechanismsAndExtensions(t *testing.T) {
	testkit.Need(t, "dovecot")
	d := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: serverUsers(someUsers(1)), Mechanisms: []string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"},
		TokenURL:      tokenServer(t),
		QuickFailures: true,
	})
	testkit.NoLeaks(t)
	for _, c := range []struct {
		mechanism Mechanism
		secret    Password
		fine      bool
	}{
		{MechanismLogin, "secret", true}, {MechanismPlain, "secret", true},
		{MechanismPlain, "a wrong password", false},
		{MechanismXOAuth2, rightToken, true}, {MechanismXOAuth2, "a-wrong-token-of-some-length", false},
		{MechanismOAuthBearer, rightToken, true}, {MechanismOAuthBearer, "a-wrong-token-of-some-length", false},
	} {
		for _, extras := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s extras %v", c.mechanism, c.secret, extras), func(t *testing.T) {
				r := mustRun(t, Options{
					Targets: []Target{target(t, d.TLS)}, Users: []User{{Name: "user1", Password: c.secret}},
					TLS:       TLSImplicit,
					TLSConfig: &tls.Config{InsecureSkipVerify: true}, Mechanism: c.mechanism, ID: extras,
					Compress: extras, Version: "1.0",
					Profile: small(builtInProfile(t, "fetch")), Sessions: 2, Closed: true,
					Duration: 300 * time.Millisecond,
					Timeout:  testkit.Patience, Grace: time.Minute,
				})
				text := table(r)
				if r.Fine() != c.fine || r.rowOf("COMPRESS").Count > 0 != (extras && c.fine) ||
					r.rowOf("ID").Count > 0 != (extras && c.fine) {
					t.Error(text)
				}
				if smaller := r.Totals.CompressedIn > 0 &&
					r.Totals.CompressedIn < r.Totals.In; smaller != (extras && c.fine) {
					t.Errorf("bytes: %s", r.Totals.BytesText())
				}
				if signIn := r.errorsOf(KindSignIn); !c.fine &&
					(signIn.Count == 0 || strings.Contains(text, string(c.secret))) {
					t.Errorf("a refused sign-in:\n%s", text)
				}
			})
		}
	}
}

// TestSASLDialogues plays mechanisms word by word: with and without an initial response, and with an error challenge.
func TestSASLDialogues(t *testing.T) {
	base64 := base64.StdEncoding.EncodeToString
	xoauth2 := base64([]byte("user=user1\x01auth=Bearer secret\x01\x01"))
	bearer := base64([]byte("n,a=us=2Cer,\x01auth=Bearer secret\x01\x01"))
	reason := base64([]byte(`{"status":"401","schemes":"Bearer"}`))
	const atOnce = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR] hi\n"
	for _, c := range []struct {
		name      string
		mechanism Mechanism
		user      string
		script    string
		says      string // in an error; "" if all is well
	}{
		{"XOAUTH2 at once", MechanismXOAuth2, "user1",
			atOnce + "C: ${tag} AUTHENTICATE XOAUTH2 " + xoauth2 + "\nS: ${tag} OK in\n", ""},
		{"XOAUTH2 when asked", MechanismXOAuth2, "user1",
			greeting + "C: ${tag} AUTHENTICATE XOAUTH2\nS: + \nC: " + xoauth2 + "\nS: ${tag} OK in\n", ""},
		{"XOAUTH2 refused", MechanismXOAuth2, "user1", atOnce + "C: ${tag} AUTHENTICATE XOAUTH2 " + xoauth2 +
			"\nS: + " + reason + "\nC: \nS: ${tag} NO no\n", `no: {"status":"401"`},
		{"OAUTHBEARER at once", MechanismOAuthBearer, "us,er",
			atOnce + "C: ${tag} AUTHENTICATE OAUTHBEARER " + bearer + "\nS: ${tag} OK in\n", ""},
		{"OAUTHBEARER refused when asked", MechanismOAuthBearer, "us,er",
			greeting + "C: ${tag} AUTHENTICATE OAUTHBEARER\nS: + \nC: " +
				bearer + "\nS: + " + reason + "\nC: AQ==\nS: ${tag} NO no\n", `no: {"status":"401"`},
		{"PLAIN with a challenge that is not due", MechanismPlain, "user1", atOnce + "C: ${tag} AUTHENTICATE PLAIN " +
			base64([]byte("\x00user1\x00secret")) + "\nS: + \nC: *\nS: ${tag} BAD cancelled\n", "cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			server := testkit.Scripted(t, nil, c.script+"mark end\nanswer-all\n")
			r := mustRun(t, Options{
				Targets: []Target{target(t, server.Addr())}, Users: []User{{Name: c.user, Password: "secret"}},
				Mechanism: c.mechanism,
				Profile:   builtInProfile(t, "noop"), Sessions: 1, Rate: 10, Duration: 200 * time.Millisecond,
			})
			text := table(r)
			if c.says == "" != r.Fine() || !strings.Contains(text, c.says) || strings.Contains(text, "secret") {
				t.Errorf("%s\n%s", text, server.Transcript())
			}
			if err := server.Reached(testkit.Context(t), "end"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestServerWithoutExtensions: what was asked for and is not offered is an error.
func TestServerWithoutExtensions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"COMPRESS=DEFLATE": func(o *Options) { o.Compress = true }, "ID": func(o *Options) { o.ID = true },
	} {
		r := runLied(t, &liar{}, func(o *Options) { change(o); o.Duration = time.Second })
		if got := strings.Join(r.errorsOf(KindSignIn).Samples, " "); !strings.Contains(got, "does not offer "+name) {
			t.Error(table(r))
		}
	}
}

// TestSecretsAreHidden: a server may say back what was sent, whole or cut, as it was encoded.
func TestSecretsAreHidden(t *testing.T) {
	token := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyMSJ9.c2lnbmF0dXJl"
	for _, c := range []credential{
		{User{Name: "user1", Password: Password(token)}, MechanismXOAuth2},
		{User{Name: "user1", Password: Password(token)}, MechanismOAuthBearer},
		{User{Name: "user1", Password: `correct "horse" battery \staple`}, MechanismPlain},
		{User{Name: "user1", Password: "pw"}, MechanismPlain},
	} {
		password := string(c.user.Password)
		for _, said := range []string{
			password, c.encoded(), quoted(password), fmt.Sprintf("%q", "AUTHENTICATE X "+c.encoded()),
			base64.StdEncoding.EncodeToString([]byte(password)),
			"BAD unknown: " + c.encoded()[:len(c.encoded())*3/4], "NO " + password[:len(password)*3/4] + "...",
		} {
			got := shown("you said "+said+", and no", c)
			if len(password) < secretStart && !strings.Contains(said, password) &&
				!strings.Contains(said, c.encoded()) {
				continue
			}
			if !strings.Contains(got, passwordMask) || strings.Contains(got, password) ||
				strings.Contains(got, c.encoded()[:min(secretStart, len(c.encoded()))]) {
				t.Errorf("%s: %q becomes %q", c.mechanism, said, got)
			}
		}
	}
}
