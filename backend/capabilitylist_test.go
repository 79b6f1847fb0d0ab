package backend

import (
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/proxy/wire"
)

// Of servers that do not send their capability list with the sign-in.
const (
	silentOK  = "S: p1 OK in"
	askedList = "S: * CAPABILITY IMAP4rev1 LITERAL+ COMPRESS=DEFLATE"
	listedA1  = "* CAPABILITY IMAP4rev1 LITERAL+\r\na1 OK in\r\n"
)

// A server that hangs up while the client waits for its list fails the sign-in; one that is slow does not.
func TestServerDiesBeforeItsList(t *testing.T) {
	testkit.NoLeaks(t)
	apart := dialogue{greeting, aliceLogin, silentOK, "C: p2 CAPABILITY", askedList, "S: p2 OK done"}
	for name, dies := range map[string]dialogue{
		"sign-in and list asked together": {greeting, aliceLogin, "C: p2 CAPABILITY", silentOK, "close"},
		"after an untagged response": {greeting, aliceLogin, "C: p2 CAPABILITY", silentOK, "S: * 1 EXISTS",
			"close"},
	} {
		t.Run(name, func(t *testing.T) {
			tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, apart, dies)))
			link, err := signInAs(t, tier, alice())
			if err != nil {
				t.Fatal(err)
			}
			link.Conn.Close()
			_, err = signInAs(t, tier, alice())
			wantFailure(t, err, KindClosed, PhaseSignIn)
		})
	}
}

// TestClientGetsTheServersList signs in three times to each kind of server. What is learnt of it makes the difference.
func TestClientGetsTheServersList(t *testing.T) {
	testkit.NoLeaks(t)
	volunteers := dialogue{greeting, aliceLogin, signedIn}
	apart := dialogue{greeting, aliceLogin, silentOK, "C: p2 CAPABILITY", askedList, "S: p2 OK done"}
	behind := dialogue{greeting, aliceLogin, "C: p2 CAPABILITY", silentOK, "S: * 1 EXISTS", askedList, "S: p2 OK done"}
	dropped := dialogue{greeting, aliceLogin, "C: p2 CAPABILITY", silentOK, "C: p3 CAPABILITY", askedList,
		"S: p3 OK done"}
	slow := dialogue{greeting, aliceLogin, "C: p2 CAPABILITY", silentOK, "C: p3 CAPABILITY", askedList,
		"S: p2 OK done", askedList, "S: p3 OK done"}
	refuses := dialogue{greeting, aliceLogin, silentOK, "C: p2 CAPABILITY", "S: p2 BAD what"}
	mute := dialogue{greeting, aliceLogin, silentOK, "C: p2 CAPABILITY", "S: * BAD what"}
	turned := dialogue{greeting, aliceLogin, "C: p2 CAPABILITY", signedIn, askedList, "S: p2 OK done"}
	tests := map[string]struct {
		dialogues []dialogue
		replies   []string
	}{
		"sends it": {[]dialogue{volunteers, volunteers, volunteers},
			[]string{signedInA1, signedInA1, signedInA1}},
		"answers in the same packet": {[]dialogue{apart, behind, behind},
			[]string{listedA1, "* 1 EXISTS\r\n" + listedA1, "* 1 EXISTS\r\n" + listedA1}},
		"drops what follows":         {[]dialogue{apart, dropped, apart}, []string{listedA1, listedA1, listedA1}},
		"answers late":               {[]dialogue{apart, slow, apart}, []string{listedA1, listedA1, listedA1}},
		"does not know CAPABILITY":   {[]dialogue{refuses}, []string{"a1 OK in\r\n"}},
		"does not read CAPABILITY":   {[]dialogue{mute}, []string{"a1 OK in\r\n"}},
		"sends it from now on":       {[]dialogue{apart, turned}, []string{listedA1, signedInA1}},
		"sends it, and then no more": {[]dialogue{volunteers, apart, apart}, []string{signedInA1, listedA1, listedA1}},
		"answers CAPABILITY first": {[]dialogue{apart,
			{greeting, aliceLogin, "C: p2 CAPABILITY", "S: * CAPABILITY X", "S: p2 OK", silentOK, "C: p3 CAPABILITY",
				askedList, "S: p3 OK"}}, []string{listedA1, "* CAPABILITY X\r\n" + listedA1}},
		"refuses the sign-in": {[]dialogue{apart, {greeting, aliceLogin, "C: p2 CAPABILITY", "S: p1 NO wrong"}},
			[]string{listedA1, ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, test.dialogues...)))
			for i, want := range test.replies {
				link, err := signInAs(t, tier, alice())
				if want == "" {
					wantFailure(t, err, KindBadCredential, PhaseSignIn)
					continue
				}
				if err != nil {
					t.Fatalf("sign-in %d: %v", i+1, err)
				}
				if got := string(link.Replies); got != want || len(link.Rest) > 0 {
					t.Errorf("sign-in %d: replies %q, rest %q; want %q", i+1, got, link.Rest, want)
				}
				if wantPlus := strings.Contains(want,
					"LITERAL+"); (link.Extensions&wire.LiteralPlus != 0) != wantPlus {
					t.Errorf("sign-in %d: literals %d", i+1, link.Extensions)
				}
				link.Conn.Close()
			}
		})
	}
}

// TestListOfRelayedMechanism asks apart: nobody knows which of the client's messages is the last.
func TestListOfRelayedMechanism(t *testing.T) {
	testkit.NoLeaks(t)
	const bearer = "user=alice\x01auth=Bearer tok\x01\x01"
	hello := "S: * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready"
	d := dialogue{hello, "C: p1 AUTHENTICATE XOAUTH2 " + b64(bearer), silentOK, "C: p2 CAPABILITY", askedList,
		"S: p2 OK done"}
	tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d, d)))
	for range 2 {
		q := alice()
		q.Credential = Credential{Mechanism: "XOAUTH2", Username: "alice", First: bearer}
		link, err := signInAs(t, tier, q)
		if err != nil || string(link.Replies) != listedA1 {
			t.Fatalf("%+v, %v", link, err)
		}
		link.Conn.Close()
	}
}

// TestClientsTagReachesNoServer signs in by tags that servers' parsers trip over.
func TestClientsTagReachesNoServer(t *testing.T) {
	testkit.NoLeaks(t)
	for _, tag := range []string{"]x", "[", "p1", "p2", "{1}", `a\b`, "%", strings.Repeat("t", 1000)} {
		t.Run(tag[:min(len(tag), 10)], func(t *testing.T) {
			d := dialogue{greeting, aliceLogin, silentOK, "C: p2 CAPABILITY", askedList, "S: p2 OK done"}
			q := alice()
			q.Tag = tag
			link, err := signInAs(t, tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d))), q)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(link.Replies), "* CAPABILITY IMAP4rev1 LITERAL+\r\n"+tag+" OK in\r\n"; got != want {
				t.Errorf("replies %q, want %q", got, want)
			}
		})
	}
}
