package bench

import (
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

const greeting = "S: * OK [CAPABILITY IMAP4rev1] hello\n"

// signedIn is how every script begins whose session gets that far.
const signedIn = greeting + `C: ${tag} LOGIN "user1" "secret"
S: ${tag} OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS] in
`

// oneMessage has the fetch profile append one message of 400 bytes, get the UID 7 for it, and ask for it.
const oneMessage = signedIn + `C: ${tag} CREATE bench-t-0
S: ${tag} OK made
C: ${tag} APPEND bench-t-0 () {400+}
expect 400
C: 
S: ${tag} OK [APPENDUID 1 7] there
C: ${tag} SELECT bench-t-0
S: * 1 EXISTS
S: ${tag} OK there
C: ${tag} UID FETCH 1:* (UID FLAGS RFC822.SIZE)
`

// listed answers the list as it should be, and hears the request for the body.
const listed = oneMessage + `S: * 1 FETCH (UID 7 FLAGS () RFC822.SIZE 400)
S: ${tag} OK listed
C: ${tag} UID FETCH 7 (UID BODY.PEEK[])
`

func oneMessageProfile(t *testing.T) *Profile {
	p := builtInProfile(t, "fetch")
	p.Fetch.Messages, p.Fetch.Sizes = 1, []WeightedSize{{Bytes: 400, Weight: 1}}
	return p
}

// TestLies has servers answer wrongly, each in one way, and wants the report to say so.
func TestLies(t *testing.T) {
	noop := func(answer string) string { return signedIn + "C: ${tag} NOOP\n" + answer + "\nanswer-all\n" }
	for _, c := range []struct {
		name   string
		fetch  bool // the fetch profile with one message; else noop
		script string
		kind   Kind
		says   string
	}{
		{"wrong tag", false, noop("S: b99 OK done"), KindTag, "b99"},
		{"foreign tag", false, noop("S: x OK done"), KindTag, `"x"`},
		{"old tag", false, noop("S: ${tag} OK done\nS: ${tag} OK done"), KindTag, "no open command"},
		{"tag without a number", false, noop("S: b OK done"), KindTag, `"b"`},
		{"NO", false, noop("S: ${tag} NO [INUSE] later"), KindRefused, "[INUSE] later"},
		{"BAD", false, noop("S: ${tag} BAD what"), KindBad, "what"},
		{"no answer", false, noop("silent"), KindTimeout, "no answer"},
		{"dropped", false, noop("close"), KindDropped, "closed"},
		{"BYE", false, noop("S: * BYE [UNAVAILABLE] going down"), KindDropped, "going down"},
		{"cut line", false, noop("raw \"* 3 EXI\"\nclose"), KindDropped, "closed"},
		{"endless line", false, noop("raw \"* OK \"\nsend 70000"), KindProtocol, ""},
		{"line without CR", false, noop(`raw "* OK hi\n"`), KindProtocol, "CR LF"},
		{"no line", false, noop(`raw "\r\n"`), KindProtocol, "an empty response"},
		{"no IMAP", false, noop("S: HTTP/1.1 200 OK"), KindProtocol, "HTTP/1.1"},
		{"endless data", false, noop("raw \"* LIST () NIL \"\nsend 70000"), KindProtocol, ""},
		{"expunge of nothing", false, noop("S: * 5 EXPUNGE\nS: ${tag} OK done"), KindProtocol, "expunged"},
		{"huge literal", false, noop("S: * 1 FETCH (BODY[] {999999999999999999}"), KindProtocol, "literal"},
		{"PREAUTH", false, "S: * PREAUTH hello\nsilent", KindGreeting, "PREAUTH"},
		{"BYE at once", false, "S: * BYE [LIMIT] too many\nclose", KindGreeting, "too many"},
		{"no greeting", false, "silent", KindTimeout, ""},
		{"closed at once", false, "close", KindDropped, ""},
		{"wrong password", false, greeting + "C: ${tag} LOGIN *\nS: ${tag} NO [AUTHENTICATIONFAILED] no\nsilent",
			KindSignIn, "AUTHENTICATIONFAILED"},
		{"wrong size", true, oneMessage + "S: * 1 FETCH (UID 7 FLAGS () RFC822.SIZE 401)\nS: ${tag} OK\nanswer-all",
			KindLiteral, "401 bytes, want 400"},
		{"wrong UID in list", true,
			oneMessage + "S: * 1 FETCH (UID 8 FLAGS () RFC822.SIZE 400)\nS: ${tag} OK\nanswer-all", KindUID,
			"UID 8, want 7"},
		{"no UID in list", true, oneMessage + "S: * 1 FETCH (FLAGS () RFC822.SIZE 400)\nS: ${tag} OK\nanswer-all",
			KindMissing, "without UID"},
		{"flags nobody set", true,
			oneMessage + "S: * 1 FETCH (UID 7 FLAGS (\\Deleted) RFC822.SIZE 400)\nS: ${tag} OK\nanswer-all", KindFlags,
			"nobody set"},
		{"nothing listed", true, oneMessage + "S: ${tag} OK\nanswer-all", KindCount, "0 messages listed"},
		{"message too many", true,
			oneMessage + "S: * 2 FETCH (UID 9 FLAGS () RFC822.SIZE 400)\nS: ${tag} OK\nanswer-all", KindCount,
			"message 2 of 1"},
		{"unreadable data", true, oneMessage + "S: * 1 FETCH (UID x\nS: ${tag} OK\nanswer-all", KindProtocol, "FETCH"},
		{"wrong checksum", true, listed + "S: * 1 FETCH (UID 7 BODY[] {400}\nsend 400\nS: )\nS: ${tag} OK\nanswer-all",
			KindChecksum, "checksum"},
		{"shorter body", true, listed + "S: * 1 FETCH (UID 7 BODY[] {399}\nsend 399\nS: )\nS: ${tag} OK\nanswer-all",
			KindLiteral, "399 bytes, want 400"},
		{"body without its end", true, listed + "S: * 1 FETCH (UID 7 BODY[] {400}\nsend 100\nclose", KindDropped, ""},
		{"less than announced", true,
			listed + "S: * 1 FETCH (UID 7 BODY[] {400}\nsend 395\nS: )\nS: ${tag} OK\nsilent", KindProtocol, ""},
		{"more than announced", true,
			listed + "S: * 1 FETCH (UID 7 BODY[] {400}\nsend 500\nS: )\nS: ${tag} OK\nsilent", KindProtocol, ""},
		{"wrong UID of body", true,
			listed + "S: * 1 FETCH (UID 8 BODY[] {400}\nsend 400\nS: )\nS: ${tag} OK\nanswer-all", KindUID, "UID 8"},
		{"no body", true, listed + "S: ${tag} OK\nanswer-all", KindMissing, "UID 7 did not come"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := builtInProfile(t, "noop")
			if c.fetch {
				p = oneMessageProfile(t)
			}
			r, server := scripted(t, p, c.script)
			got := r.errorsOf(c.kind)
			if got.Count == 0 || !strings.Contains(strings.Join(got.Samples, "\n"), c.says) {
				t.Errorf("want %s saying %q\n%s\n%s", c.kind, c.says, table(r), server.Transcript())
			}
			if strings.Contains(table(r), "secret") {
				t.Error("the report holds the password")
			}
		})
	}
}

// TestReset has a server reset the connection, which only a real one can be.
func TestReset(t *testing.T) {
	testkit.NoLeaks(t)
	server := testkit.Scripted(t, nil, signedIn+"C: ${tag} NOOP\nreset")
	r := mustRun(t, Options{
		Targets: []Target{target(t, server.Addr())}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
		Sessions: 1, Duration: 300 * time.Millisecond, Rate: 10,
	})
	if got := r.errorsOf(KindDropped); got.Count == 0 || !strings.Contains(strings.Join(got.Samples, "\n"), "reset") {
		t.Errorf("%s\n%s", table(r), server.Transcript())
	}
}

// TestPasswordInAnswers has a server say the password back.
func TestPasswordInAnswers(t *testing.T) {
	r, _ := scripted(t, builtInProfile(t, "noop"),
		greeting+"C: ${tag} LOGIN *\nS: ${tag} NO secret is not right\nsilent")
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "secret") || !strings.Contains(b.String(), "***** is not right") {
		t.Errorf("report:\n%s", b.String())
	}
}

// TestDroppedSessionsComeBack wants a session to sign in again, but not at once and not for ever faster.
func TestDroppedSessionsComeBack(t *testing.T) {
	testkit.NoLeaks(t)
	server := testkit.Scripted(t, nil, signedIn+"C: ${tag} NOOP\nclose")
	r := mustRun(t, Options{
		Targets: []Target{target(t, server.Addr())}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
		Sessions: 1,
		Duration: 2 * time.Second, Rate: 1000,
	})
	if n := server.Conns(); n < 2 || n > 40 || r.Sessions.Reconnects == 0 || r.errorsOf(KindDropped).Count == 0 {
		t.Errorf("%d connections\n%s", n, table(r))
	}
	if r.Totals.OperationOutcomes.NeverBegun == 0 || r.rowOf("noop, whole").P99 < 100_000 {
		t.Errorf("nothing of the operations that were not begun:\n%s", table(r))
	}
}

// TestMailboxThatIsThere wants a session's own mailbox to do when the server says that it is there already, and to be
// gone afterwards.
func TestMailboxThatIsThere(t *testing.T) {
	there := strings.Replace(oneMessage, "${tag} OK made", "${tag} NO [ALREADYEXISTS] there", 1)
	r, server := scripted(t, oneMessageProfile(t),
		there+"S: * 1 FETCH (UID 7 FLAGS () RFC822.SIZE 400)\nS: ${tag} OK\nanswer-all")
	if r.errorsOf(KindRefused).Count != 0 || r.Sessions.Reconnects != 0 {
		t.Errorf("it does not do:\n%s", table(r))
	}
	if !strings.Contains(server.Transcript(), "DELETE bench-t-0") {
		t.Errorf("the mailbox stays:\n%s", server.Transcript())
	}
}
