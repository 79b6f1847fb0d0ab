package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

func TestReadMessage(t *testing.T) {
	for _, test := range []struct {
		mechanism, message      string
		authzid, user, password string // user and password "" are for a message that is none
	}{
		{"PLAIN", "\x00ann\x00pw", "", "ann", "pw"},
		{"PLAIN", "bob\x00ann\x00", "bob", "ann", ""},
		{"PLAIN", "ann\x00pw", "", "", ""},
		{"PLAIN", "\x00ann\x00pw\x00", "", "", ""},
		{"PLAIN", "", "", "", ""},

		{"XOAUTH2", "user=ann@example.org\x01auth=Bearer ya29.tok\x01\x01", "", "ann@example.org", "ya29.tok"},
		{"XOAUTH2", "user=ann\x01host=x\x01auth=bearer  tok\x01\x01", "", "ann", "tok"},
		{"XOAUTH2", "user=ann\x01auth=Bearer tok\x01", "", "", ""},
		{"XOAUTH2", "user=ann\x01auth=Basic tok\x01\x01", "", "", ""},
		{"XOAUTH2", "auth=Bearer tok\x01user=ann\x01\x01", "", "", ""},
		{"XOAUTH2", "user=ann", "", "", ""},

		{"OAUTHBEARER", "n,a=ann@example.org,\x01host=h\x01port=143\x01auth=Bearer tok\x01\x01", "",
			"ann@example.org", "tok"},
		{"OAUTHBEARER", "n,a=a=2Cb=3Dc,\x01auth=Bearer tok\x01\x01", "", "a,b=c", "tok"},
		{"OAUTHBEARER", "y,a=ann,\x01auth=Bearer tok\x01\x01", "", "ann", "tok"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer tok\x01\x01", "", "", "tok"}, // the token tells
		{"OAUTHBEARER", "p=tls-exporter,a=ann,\x01auth=Bearer tok\x01\x01", "", "", ""},
		{"OAUTHBEARER", "n,a=ann,auth=Bearer tok\x01\x01", "", "", ""},
		{"OAUTHBEARER", "n,a=ann,\x01\x01", "", "", ""},

		{"SCRAM-SHA-256", "n,,n=ann,r=abc", "", "ann", ""},
		{"SCRAM-SHA-1", "y,a=bob,n=ann,r=abc,x=extension", "bob", "ann", ""},
		{"SCRAM-SHA-1", "n,a=b=2Cc,n=a=3Db,r=abc", "b,c", "a=b", ""},
		{"SCRAM-SHA-256", "n,a=bob=,n=ann,r=abc", "", "", ""},
		{"SCRAM-SHA-256", "n,,n=a=2cb,r=abc", "", "", ""},
		{"SCRAM-SHA-256", "n,b=bob,n=ann,r=abc", "", "", ""},
		{"SCRAM-SHA-256", "n,,m=must,n=ann,r=abc", "", "", ""},
		{"SCRAM-SHA-256", "p=tls-unique,,n=ann,r=abc", "", "", ""},
		{"SCRAM-SHA-256", "n,,n=ann", "", "", ""},
		{"SCRAM-SHA-256", "n=ann,r=abc", "", "", ""},
	} {
		c, err := ReadMessage(test.mechanism, []byte(test.message))
		if test.user+test.password == "" {
			if !errors.Is(err, ErrMessage) {
				t.Errorf("%s %q: %v", test.mechanism, test.message, err)
			}
			continue
		}
		if err != nil || c.Authzid != test.authzid || c.Username != test.user ||
			c.Password.Reveal() != test.password || c.Mechanism != test.mechanism {
			t.Errorf("%s %q: %v, %q %q %q", test.mechanism, test.message, err, c.Authzid, c.Username,
				c.Password.Reveal())
		}
		if got := c.firstMessage(); got != test.message {
			t.Errorf("%s %q is passed on as %q", test.mechanism, test.message, got)
		}
	}
}

func TestRename(t *testing.T) {
	for _, test := range []struct{ mechanism, message, want string }{
		{"PLAIN", "\x00ann\x00pw", "\x00b,c\x00pw"},
		{"PLAIN", "ann\x00root\x00pw", "b,c\x00root\x00pw"},
		{"XOAUTH2", "user=ann\x01auth=Bearer tok\x01\x01", "user=b,c\x01auth=Bearer tok\x01\x01"},
		{"OAUTHBEARER", "y,a=ann,\x01auth=Bearer tok\x01\x01", "y,a=b=2Cc,\x01auth=Bearer tok\x01\x01"},
		{"SCRAM-SHA-256", "n,,n=ann,r=abc", ""},
	} {
		c, err := ReadMessage(test.mechanism, []byte(test.message))
		if err != nil {
			t.Fatal(err)
		}
		if ok := c.Rename("b,c"); ok != (test.want != "") {
			t.Errorf("%s: %v", test.mechanism, ok)
		} else if ok && c.firstMessage() != test.want {
			t.Errorf("%s: %q, want %q", test.mechanism, c.firstMessage(), test.want)
		}
	}
}

// FuzzReadMessage: what is taken for a message goes on as it came, and names nobody who could break out of his place
// in it.
func FuzzReadMessage(f *testing.F) {
	for _, message := range []string{
		"\x00ann\x00pw", "user=ann\x01auth=Bearer tok\x01\x01", "n,a=ann,\x01auth=Bearer tok\x01\x01",
		"n,,n=ann,r=abc", "y,a=b=2Cc,n=a=3Db,r=abc",
	} {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, mechanism := range mechanisms {
			if mechanism == mechanismLogin {
				continue
			}
			c, err := ReadMessage(mechanism, message)
			if err != nil {
				if !errors.Is(err, ErrMessage) || strings.Contains(err.Error(), "\x01") {
					t.Fatalf("%s: %v", mechanism, err)
				}
				continue
			}
			if got := c.firstMessage(); got != string(message) {
				t.Fatalf("%s: %q became %q", mechanism, message, got)
			}
			if !c.Rename("bob") {
				continue
			}
			again, err := ReadMessage(mechanism, []byte(c.firstMessage()))
			if err != nil || again != c {
				t.Fatalf("%s: renamed %q reads as %v, %v", mechanism, c.firstMessage(), again, err)
			}
		}
	})
}

// TestRelayed holds the exchange of each mechanism that goes message by message. What the client is asked, and says,
// stands between.
func TestRelayed(t *testing.T) {
	testkit.NoLeaks(t)
	const scram, bearer = "n,,n=alice,r=abc", "user=alice\x01auth=Bearer tok\x01\x01"
	stop := errors.New("client gone")
	for name, test := range map[string]struct {
		mechanism, first, offers string
		asked                    []string // challenges, as the client sees them
		dialogue                 dialogue
		kind                     Kind
		refuse                   error // of the client
	}{
		"SCRAM": {"SCRAM-SHA-256", scram, "SASL-IR", []string{"r=abcdef,s=c2FsdA==,i=4096", "v=proof"}, dialogue{
			"C: p1 AUTHENTICATE SCRAM-SHA-256 " + b64(scram),
			"S: + " + b64("r=abcdef,s=c2FsdA==,i=4096"), "C: " + b64("response 1"), "S: * CAPABILITY IMAP4rev1",
			"S: + " + b64("v=proof"), "C: " + b64("response 2"), signedIn,
		}, 0, nil},
		"without initial response": {"SCRAM-SHA-1", scram, "", []string{"last"}, dialogue{
			"C: p1 AUTHENTICATE SCRAM-SHA-1", "S: + ", "C: " + b64(scram), "S: + " + b64("last"),
			"C: " + b64("response 1"), signedIn,
		}, 0, nil},
		"token": {"XOAUTH2", bearer, "SASL-IR", nil, dialogue{"C: p1 AUTHENTICATE XOAUTH2 " + b64(bearer), signedIn},
			0, nil},
		"bad token": {"XOAUTH2", bearer, "SASL-IR", []string{`{"status":"401"}`}, dialogue{
			"C: p1 AUTHENTICATE XOAUTH2 " + b64(bearer), "S: + " + b64(`{"status":"401"}`), "C: " + b64("response 1"),
			"S: p1 NO [AUTHENTICATIONFAILED] no",
		}, KindBadCredential, nil},
		"client stops": {"SCRAM-SHA-256", scram, "SASL-IR", []string{"x"}, dialogue{
			"C: p1 AUTHENTICATE SCRAM-SHA-256 " + b64(scram), "S: + " + b64("x"),
		}, KindClient, stop},
		"no base64": {"SCRAM-SHA-256", scram, "SASL-IR", nil, dialogue{
			"C: p1 AUTHENTICATE SCRAM-SHA-256 " + b64(scram), "S: + what?",
		}, KindProtocol, nil},
		"in too early": {"SCRAM-SHA-256", scram, "", nil, dialogue{"C: p1 AUTHENTICATE SCRAM-SHA-256", signedIn},
			KindProtocol, nil},
		"without end": {"SCRAM-SHA-256", scram, "SASL-IR", slices.Repeat([]string{"x"}, maxChallenges), slices.Concat(
			dialogue{"C: p1 AUTHENTICATE SCRAM-SHA-256 " + b64(scram), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 1"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 2"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 3"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 4"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 5"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 6"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 7"), "S: + " + b64("x")},
			dialogue{"C: " + b64("response 8"), "S: + " + b64("x")},
		), KindProtocol, nil},
	} {
		t.Run(name, func(t *testing.T) {
			offers := "S: * OK [CAPABILITY IMAP4rev1 AUTH=" + test.mechanism + " " + test.offers + "] ready"
			tier := tier(t, Timeouts{}, server(TLSNone, nil,
				fake(t, nil, slices.Concat(dialogue{offers}, test.dialogue))))
			q := alice()
			var err error
			if q.Credential, err = ReadMessage(test.mechanism, []byte(test.first)); err != nil {
				t.Fatal(err)
			}
			var asked []string
			q.AnswerChallenge = func(_ context.Context, challenge []byte) ([]byte, error) {
				asked = append(asked, string(challenge))
				return []byte("response " + string(rune('0'+len(asked)))), test.refuse
			}
			_, err = signInAs(t, tier, q)
			if !slices.Equal(asked, test.asked) {
				t.Errorf("the client was asked %q", asked)
			}
			if test.kind == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFailure(t, err, test.kind, PhaseSignIn)
			if test.refuse != nil && !errors.Is(err, test.refuse) {
				t.Errorf("the client's error is lost: %v", err)
			}
		})
	}
}
