package backend

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/backend/secret"
	"portico/proxy/wire"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestMechanisms signs in by each mechanism to servers that offer this and that. The dialogue stands between the
// greeting and the server's OK.
func TestMechanisms(t *testing.T) {
	testkit.NoLeaks(t)
	password := func(p string) Credential { return Credential{Username: "alice", Password: secret.Value(p)} }
	with := func(c Credential, mechanism string) Credential { c.Mechanism = mechanism; return c }
	acting := with(password("pw"), "PLAIN")
	acting.Authzid = "bob"

	tests := []struct {
		name       string
		offers     string
		credential Credential
		dialogue   dialogue
	}{
		{"LOGIN", "", password("pw"), dialogue{`C: p1 LOGIN "alice" "pw"`}},
		{"LOGIN beside PLAIN", "AUTH=PLAIN SASL-IR", password("pw"), dialogue{`C: p1 LOGIN "alice" "pw"`}},
		{"LOGIN quoted", "", password(`p"w\ {3}`), dialogue{`C: p1 LOGIN "alice" "p\"w\\ {3}"`}},
		{"LOGIN empty", "", password(""), dialogue{`C: p1 LOGIN "alice" ""`}},
		{"LOGIN literal", "", password("pé"), dialogue{`C: p1 LOGIN "alice" {3}`, "S: + go", "C: pé"}},
		{"LOGIN two literals", "", Credential{Username: "é", Password: "é\r\n"},
			dialogue{"C: p1 LOGIN {2}", "S: +", "C: é {4}", "S: + ", "C: é", "C: "}},
		{"LOGIN literals are synchronizing", "LITERAL+", password("pé"),
			dialogue{`C: p1 LOGIN "alice" {3}`, "S: + go", "C: pé"}},
		{"LOGIN that no quotes can carry", "LITERAL+ AUTH=PLAIN SASL-IR", password("pé"),
			dialogue{"C: p1 AUTHENTICATE PLAIN " + b64("\x00alice\x00pé")}},
		{"LOGINDISABLED", "LOGINDISABLED AUTH=PLAIN SASL-IR", password("pw"),
			dialogue{"C: p1 AUTHENTICATE PLAIN " + b64("\x00alice\x00pw")}},
		{"PLAIN", "AUTH=PLAIN SASL-IR", with(password("pw"), "PLAIN"),
			dialogue{"C: p1 AUTHENTICATE PLAIN " + b64("\x00alice\x00pw")}},
		{"PLAIN without SASL-IR", "AUTH=PLAIN", with(password("pw"), "PLAIN"),
			dialogue{"C: p1 AUTHENTICATE PLAIN", "S: + ", "C: " + b64("\x00alice\x00pw")}},
		{"PLAIN of an authzid", "AUTH=PLAIN SASL-IR", acting,
			dialogue{"C: p1 AUTHENTICATE PLAIN " + b64("bob\x00alice\x00pw")}},
		{"PLAIN not offered", "AUTH=SCRAM-SHA-256", with(password("pw"), "PLAIN"),
			dialogue{`C: p1 LOGIN "alice" "pw"`}},
		{"AUTHENTICATE LOGIN", "AUTH=PLAIN AUTH=LOGIN SASL-IR", with(password("pw"), "LOGIN"),
			dialogue{"C: p1 AUTHENTICATE LOGIN", "S: + " + b64("Username:"), "C: " + b64("alice"),
				"S: + " + b64("Password:"), "C: " + b64("pw")}},
		{"AUTHENTICATE LOGIN not offered", "AUTH=PLAIN SASL-IR", with(password("pw"), "LOGIN"),
			dialogue{"C: p1 AUTHENTICATE PLAIN " + b64("\x00alice\x00pw")}},
		{"AUTHENTICATE LOGIN where there is nothing", "", with(password("pw"), "LOGIN"),
			dialogue{`C: p1 LOGIN "alice" "pw"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := slices.Concat(dialogue{"S: * OK [CAPABILITY IMAP4rev1 " + test.offers + "] ready"}, test.dialogue,
				dialogue{signedIn})
			tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d)))
			q := alice()
			q.Credential = test.credential
			link, err := signInAs(t, tier, q)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(link.Replies); got != signedInA1 {
				t.Errorf("replies %q", got)
			}
		})
	}
}

// TestUnsendable has credentials that the server gives no way to send; it must hear nothing of them.
func TestUnsendable(t *testing.T) {
	testkit.NoLeaks(t)
	tests := []struct {
		name       string
		offers     string
		credential Credential
		kind       Kind
	}{
		{"nothing offered", "LOGINDISABLED", Credential{Username: "alice", Password: "wonder"}, KindNoMechanism},
		{"authzid without PLAIN", "AUTH=LOGIN", Credential{Mechanism: "PLAIN", Authzid: "bob", Username: "alice",
			Password: "wonder"}, KindNoMechanism},
		{"unknown mechanism", "AUTH=GSSAPI", Credential{Mechanism: "GSSAPI", Username: "alice", Password: "wonder"},
			KindNoMechanism},
		{"relayed mechanism", "AUTH=PLAIN", Credential{Mechanism: "XOAUTH2", Username: "alice", First: "wonder"},
			KindNoMechanism},
		{"channel binding", "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS",
			Credential{Mechanism: "SCRAM-SHA-256", First: "n,,n=alice,r=x"}, KindNoMechanism},
		{"NUL", "", Credential{Username: "alice", Password: "won\x00der"}, KindBadCredential},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := dialogue{"S: * OK [CAPABILITY IMAP4rev1 " + test.offers + "] ready"}
			tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d)))
			q := alice()
			q.Credential = test.credential
			_, err := signInAs(t, tier, q)
			wantFailure(t, err, test.kind, PhaseSignIn)
		})
	}
}

func TestRefusals(t *testing.T) {
	testkit.NoLeaks(t)
	tests := []struct {
		answer string
		kind   Kind
		code   string
		text   string
	}{
		{"S: p1 NO wrong", KindBadCredential, "", ""},
		{"S: p1 NO [AUTHENTICATIONFAILED] wrong", KindBadCredential, "AUTHENTICATIONFAILED", ""},
		{"S: p1 NO [UNAVAILABLE] database down", KindRefused, "UNAVAILABLE", ""},
		{"S: p1 NO [authorizationfailed] no", KindRefused, "AUTHORIZATIONFAILED", ""},
		{"S: p1 NO [EXPIRED] old", KindRefused, "EXPIRED", ""},
		{"S: p1 NO [LIMIT] many", KindRefused, "LIMIT", "many"},
		{"S: p1 NO [ALERT] Read [this]\x07 \xc3\xa9", KindRefused, "ALERT", "Read (this)? ??"},
		{"S: p1 NO [REFERRAL imap://other/] go there", KindRefused, "", ""},
		{"S: p1 NO [X-ODD] what", KindRefused, "", ""},
		{"S: p1 BAD [CLIENTBUG] what", KindBadCredential, "CLIENTBUG", ""},
		{"S: * BYE [UNAVAILABLE] going down", KindBye, "UNAVAILABLE", ""},
		{"S: * BYE [ALERT] maintenance", KindBye, "ALERT", "maintenance"},
		{"S: p1 NO [ALERT] WONDER is wrong", KindRefused, "ALERT", secret.Mask},
		{"S: p1 BAD no command wonder", KindBadCredential, "", ""},
		{"S: * BAD Error in IMAP command received by server.", KindBadCredential, "", ""},
		{"S: * BAD [UNAVAILABLE] line too long", KindBadCredential, "UNAVAILABLE", ""},
		{"S: p1 NO [wonder] wrong", KindRefused, "", ""},
	}
	for _, test := range tests {
		t.Run(test.answer, func(t *testing.T) {
			tier := tier(t, Timeouts{}, server(TLSNone, nil,
				fake(t, nil, dialogue{greeting, aliceLogin, test.answer})))
			_, err := signInAs(t, tier, alice())
			wantFailure(t, err, test.kind, PhaseSignIn)
			if e := failure(t, err); e.Code != test.code || e.Text != test.text {
				t.Errorf("got code %q, text %q; want %q, %q", e.Code, e.Text, test.code, test.text)
			}
			if text := strings.ToLower(err.Error()); strings.Contains(text, "wonder") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// TestPasswordQuotedBack covers the other forms in which a server may send the password back.
func TestPasswordQuotedBack(t *testing.T) {
	c := Credential{Username: "alice", Password: `so"secret`}
	for text, want := range map[string]bool{
		`LOGIN "alice" "so\"secret"`:                true,
		"AUTHENTICATE " + b64(`so"secret`):          true,
		"what is " + b64("\x00alice\x00so\"secret"): true,
		"alice is unknown":                          false,
	} {
		if c.quotedIn(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
	if (Credential{Username: "alice"}).quotedIn("anything") {
		t.Error("an empty password is quoted everywhere")
	}
}

// TestReplies checks what of a sign-in reaches the client.
func TestReplies(t *testing.T) {
	testkit.NoLeaks(t)
	tests := []struct {
		name     string
		greeting string
		server   string
		replies  string
		rest     string
		offers   Offers
		literals wire.Extensions
	}{
		{"capabilities in OK", "IMAP4rev1", "p1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n",
			"a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", "", OffersNone, 0},
		{"LITERAL+", "IMAP4rev1", "p1 OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n",
			"a1 OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n", "", OffersNone, wire.LiteralPlus},
		{"LITERAL-", "IMAP4rev1 LITERAL+", "p1 OK [CAPABILITY literal-] in\r\n", "a1 OK [CAPABILITY literal-] in\r\n",
			"", OffersNone, wire.LiteralMinus},
		{"hidden in OK", "IMAP4rev1", "p1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE] in\r\n",
			"a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", "", OffersHidden, 0},
		{"offered before", "IMAP4rev1 COMPRESS=DEFLATE", "p1 OK [CAPABILITY IMAP4rev1] in\r\n",
			"a1 OK [CAPABILITY IMAP4rev1] in\r\n", "", OffersHidden, 0},
		{"untagged before", "IMAP4rev1",
			"* CAPABILITY IMAP4rev1 UNAUTHENTICATE\r\n* OK [ALERT] hey {3}\r\n* X {3}\r\nabc d\r\np1 OK [CAPABILITY " +
				"IMAP4rev1] in\r\n",
			"* CAPABILITY IMAP4rev1\r\n* OK [ALERT] hey {3}\r\n* X {3}\r\nabc d\r\na1 OK [CAPABILITY " +
				"IMAP4rev1] in\r\n", "", OffersHidden, 0},
		{"more behind", "IMAP4rev1", "* CAPABILITY X\r\np1 OK in\r\n* 3 EXISTS\r\n* half",
			"* CAPABILITY X\r\na1 OK in\r\n", "* 3 EXISTS\r\n* half", OffersNone, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := dialogue{"S: * OK [CAPABILITY " + test.greeting + "] ready", aliceLogin, "s: " + test.server}
			link, err := signInAs(t, tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d))), alice())
			if err != nil {
				t.Fatal(err)
			}
			if string(link.Replies) != test.replies || string(link.Rest) != test.rest || link.Offers != test.offers ||
				link.Extensions != test.literals {
				t.Errorf("replies %q, rest %q, offers %d, literals %d\nwant    %q,      %q,        %d,          %d",
					link.Replies, link.Rest,
					link.Offers, link.Extensions, test.replies, test.rest, test.offers, test.literals)
			}
		})
	}
}

// idLine is the ID that bob's client of TestID gives rise to.
const idLine = ` ID ("name" "Portico" "x-originating-ip" "192.0.2.7" "x-originating-port" "5000"` +
	` "x-connected-ip" "2001:db8::1" "x-connected-port" "993" "x-session-id" "s\"1")`

// TestID sends ID where it is trusted and offered, in one write with the sign-in, and keeps its answers from the
// client.
func TestID(t *testing.T) {
	hello := "S: * OK [CAPABILITY IMAP4rev1 ID] ready"
	tests := []struct {
		name     string
		trusted  bool
		dialogue dialogue
		replies  string
	}{
		{"trusted", true, dialogue{hello, "C: p2" + idLine, aliceLogin, "S: * ID NIL", "S: p2 OK hi", signedIn},
			signedInA1},
		{"refused", true, dialogue{hello, "C: p2" + idLine, aliceLogin, "S: p2 BAD what", signedIn}, signedInA1},
		{"refused without a tag", true, dialogue{hello, "C: p2" + idLine, aliceLogin, "S: * BAD what", signedIn},
			signedInA1},
		{"answered last", true, dialogue{hello, "C: p2" + idLine, aliceLogin, signedIn, `S: * ID ("name" "x")`,
			"S: p2 OK hi"}, signedInA1},
		{"not trusted", false, dialogue{hello, aliceLogin, "S: * ID NIL", signedIn}, "* ID NIL\r\n" + signedInA1},
		{"not offered", true, dialogue{greeting, aliceLogin, signedIn}, signedInA1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := server(TLSNone, nil, fake(t, nil, append(test.dialogue, "close")))
			o.TrustedID = test.trusted
			q := alice()
			q.Client = ClientInfo{
				Addr:      netip.MustParseAddrPort("[::ffff:192.0.2.7]:5000"),
				Local:     netip.MustParseAddrPort("[2001:db8::1%eth0]:993"),
				SessionID: `s"1`,
			}
			link, err := signInAs(t, tier(t, Timeouts{}, o), q)
			if err != nil {
				t.Fatal(err)
			}
			later, err := io.ReadAll(link.Conn)
			if string(link.Replies) != test.replies || len(link.Rest)+len(later) > 0 || err != nil {
				t.Errorf("replies %q, want %q; then %q, %q, %v", link.Replies, test.replies, link.Rest, later, err)
			}
			if n := link.Conn.(*counted).writes; n != 1 {
				t.Errorf("%d writes, want ID and sign-in in one", n)
			}
		})
	}
}

// TestIDLeavesOut sends nothing that is not known or cannot be quoted.
func TestIDLeavesOut(t *testing.T) {
	got := string(appendID(nil, "p1", ClientInfo{SessionID: "s\r\np2 LOGOUT"}))
	if want := "p1 ID (\"name\" \"Portico\")\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTLS signs in over TLS, where a server's capabilities from before STARTTLS are forgotten.
func TestTLS(t *testing.T) {
	testkit.NoLeaks(t)
	client, config := certificates(t, loopback())
	login := func(tag string) dialogue {
		return dialogue{"C: " + tag + ` LOGIN "alice" "wonder"`,
			"s: " + tag + " OK [CAPABILITY IMAP4rev1] in\r\n* 1 EXISTS\r\n"}
	}
	tests := []struct {
		name     string
		mode     TLSMode
		dialogue dialogue
		tag      string // of the sign-in
		phases   string
	}{
		{"implicit", TLSImplicit, dialogue{"TLS", greeting}, "p1", "[dial tls greeting signin]"},
		{"starttls", TLSStartTLS, dialogue{
			"S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS COMPRESS=DEFLATE] ready", "S: * OK still ready",
			"C: p1 STARTTLS", "S: * CAPABILITY LOGINDISABLED", "S: p1 OK go", "TLS",
			"C: p2 CAPABILITY", "S: * CAPABILITY IMAP4rev1", "S: p2 OK done",
		}, "p3", "[dial greeting tls signin]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := fake(t, config, append(test.dialogue, login(test.tag)...))
			var phases []string
			q := alice()
			q.Step = func(phase string, d time.Duration) {
				phases = append(phases, phase)
				if d <= 0 {
					t.Errorf("phase %s took %v", phase, d)
				}
			}
			link, err := signInAs(t, tier(t, Timeouts{}, server(test.mode, client, address)), q)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(phases) != test.phases {
				t.Errorf("phases %v, want %s", phases, test.phases)
			}
			if link.TLS == nil || string(link.Rest) != "* 1 EXISTS\r\n" || link.Offers != OffersNone ||
				link.Addr != address {
				t.Errorf("got %+v", link)
			}
			if !link.TLS.ConnectionState().HandshakeComplete || link.TLS.NetConn() != link.Conn {
				t.Error("the TLS connection is not over what Wrap returned")
			}
		})
	}
}

// TestTLSResumed spares the second connection to a server most of the handshake.
func TestTLSResumed(t *testing.T) {
	client, config := certificates(t, loopback())
	d := dialogue{"TLS", greeting, aliceLogin, signedIn}
	tier := tier(t, Timeouts{}, server(TLSImplicit, client, fake(t, config, d, d)))
	for i := range 2 {
		link, err := signInAs(t, tier, alice())
		if err != nil {
			t.Fatal(err)
		}
		if resumed := link.TLS.ConnectionState().DidResume; resumed != (i == 1) {
			t.Errorf("connection %d: resumed %v", i, resumed)
		}
		link.Conn.Close()
	}
}

// TestDeadlinesAreCleared so that a link lives on after the time-outs of its set-up.
func TestDeadlinesAreCleared(t *testing.T) {
	address := fake(t, nil, dialogue{greeting, aliceLogin, signedIn})
	link, err := signInAs(t, tier(t, Timeouts{}, server(TLSNone, nil, address)), alice())
	if err != nil {
		t.Fatal(err)
	}
	if d := link.Conn.(*counted).deadline; !d.IsZero() {
		t.Errorf("deadline %v is still set", d)
	}
}

// TestNextCopy tries another copy only where the server was not reached.
func TestNextCopy(t *testing.T) {
	testkit.NoLeaks(t)
	refused := testkit.Listen(t)
	refused.Close()
	well := dialogue{greeting, aliceLogin, signedIn}
	full := dialogue{"S: * BYE full"}
	tests := []struct {
		name   string
		first  string // address of mbx1
		second []dialogue
		kind   string // of the error; "" for a sign-in to mbx2
	}{
		{"dial", refused.Addr().String(), []dialogue{well}, ""},
		{"greeting", fake(t, nil, full), []dialogue{well}, ""},
		{"credential", fake(t, nil, dialogue{greeting, aliceLogin, "S: p1 NO wrong"}), nil, "bad_credential"},
		{"both", refused.Addr().String(), []dialogue{full}, "dial"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mbx2 := server(TLSNone, nil, fake(t, nil, test.second...))
			mbx2.Name = "mbx2"
			link, err := signInAs(t, tier(t, Timeouts{}, server(TLSNone, nil, test.first), mbx2), alice())
			if test.kind == "" {
				if err != nil || link.Server != "mbx2" || link.Database != "db1" {
					t.Errorf("got %+v, %v", link, err)
				}
				return
			}
			if e := failure(t, err); e.Kind.String() != test.kind || e.Server != "mbx1" {
				t.Errorf("got %v of %s, want %s of mbx1", e.Kind, e.Server, test.kind)
			}
			if tried := strings.Contains(err.Error(), "mbx2"); tried != (len(test.second) > 0) {
				t.Errorf("what became of mbx2? %v", err)
			}
		})
	}
}
