package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/backendtest/testkit/complete"
	"portico/backend/directory"
	"portico/backend/secret"
)

// probed is a site for probes: db1 is on mbx1 and has a copy on mbx2, db2 is on mbx2. Health mailboxes sign in as
// health1 and health2.
type probed struct {
	t         *testing.T
	tier      *backend.Tier
	down      error           // of the directory
	mailboxes map[string]bool // databases with a health mailbox
	read      []string        // what Back.Read was told
}

// Lookup implements directory.Source.
func (p *probed) Lookup(_ context.Context, q directory.Query) (directory.Entry, error) {
	database := "db2"
	if q.User == "health1" {
		database = "db1"
	}
	return directory.Entry{User: q.User, Database: database}, p.down
}

// newProbed returns a site of mailbox servers at these addresses.
func newProbed(t *testing.T, mbx1, mbx2 string) *probed {
	p := &probed{t: t, mailboxes: map[string]bool{"db1": true, "db2": true}}
	p.tier = complete.Tier(t, backend.Options{
		Servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{mbx1}}, {Name: "mbx2",
			Addresses: []string{mbx2}}},
		Databases: []backend.DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2"}}, {Name: "db2",
			Copies: []string{"mbx2"}}},
		Directory: p,
	})
	return p
}

func (p *probed) back() Back {
	return Back{
		Tier: func() *backend.Tier { return p.tier },
		Mailbox: func(database string) (Mailbox, bool) {
			name := "health" + strings.TrimPrefix(database, "db")
			return Mailbox{User: name, Name: name, Password: func() (secret.Value, error) { return "sesame", nil }},
				p.mailboxes[database]
		},
		Read: func(_ context.Context, database, server string) { p.read = append(p.read, database+" on "+server) },
	}
}

// runs executes a probe as the engine does.
func (p *probed) runs(run *Run, look func(context.Context, *Run) error) *Result {
	p.t.Helper()
	result := (&Probe{HealthSet: "S", Name: "P", Run: look}).execute(testkit.Context(p.t), testkit.Patience,
		time.Now, run)
	if result == nil {
		return &Result{Err: ErrNoSample.Error()}
	}
	return result
}

// blames says whom a result blames, in which phase, and the steps that it took.
func blames(r *Result) string {
	var steps []string
	for _, s := range r.Steps {
		steps = append(steps, s.Name)
	}
	return fmt.Sprintf("%s, %s, in %q: %s", r.Type, r.Dependency, r.Phase, strings.Join(steps, " "))
}

func (p *probed) want(r *Result, want string, words ...string) {
	p.t.Helper()
	if got := blames(r); got != want {
		p.t.Errorf("%s\nwanted\n%s\n%s", got, want, r.Err)
	}
	for _, w := range words {
		if !strings.Contains(r.Err, w) {
			p.t.Errorf("no %q in %q", w, r.Err)
		}
	}
}

// mailServer starts a server of health1 and health2, whose password is sesame. Their mailboxes have a message.
func mailServer(t *testing.T, config *tls.Config) string {
	t.Helper()
	message := backendtest.Mail{Message: []byte("Subject: hello\r\n\r\nhello\r\n")}
	var users []backendtest.User
	for _, name := range []string{"health1", "health2"} {
		users = append(users, backendtest.User{Name: name, Password: "sesame", Mail: []backendtest.Mail{message}})
	}
	m, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: users, TLSConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	return testkit.Serve(t, m)
}

// The dialogues of mailbox servers.
const (
	hello    = "S: * OK [CAPABILITY IMAP4rev1] hello\n"
	signsIn  = hello + "C: ${tag} LOGIN *\nS: ${tag} OK [CAPABILITY IMAP4rev1] in\n"
	refuses  = hello + "C: ${tag} LOGIN *\nS: ${tag} NO [AUTHENTICATIONFAILED] no\neof\n"
	examines = signsIn + "C: ${tag} EXAMINE *\nS: * 1 EXISTS\nS: ${tag} OK [READ-ONLY] open\n"
)

const signedIn = "Succeeded, , in \"\": dial greeting signin "

// A self test signs in to the server, in the mailbox of a database that is active there rather than of another, and
// signs out. Without a health mailbox the server has to answer.
func TestSelfTest(t *testing.T) {
	testkit.NoLeaks(t)
	server := mailServer(t, nil)
	dead := "127.0.0.1:" + testkit.FreePort(t)
	p := newProbed(t, dead, server)
	r := p.runs(&Run{}, p.back().SelfTest("mbx2"))
	p.want(r, signedIn+"logout")
	if r.Account != "health2" || r.Mailbox != "mbx2" || r.Sent != "LOGOUT" || !strings.Contains(r.Received, " OK ") {
		t.Errorf("%+v", r)
	}
	p.mailboxes["db2"] = false
	if r := p.runs(&Run{}, p.back().SelfTest("mbx2")); r.Account != "health1" || r.Type != Succeeded {
		t.Errorf("by the copy that is not active: %+v", r)
	}
	if r := p.runs(&Run{Account: "health2", Password: "sesame"},
		p.back().SelfTest("mbx2")); r.Account != "health2" || r.Type != Succeeded {
		t.Errorf("by another account: %+v", r)
	}
	p.want(p.runs(&Run{}, p.back().SelfTest("mbx1")), "Failed, Networking, in \"dial\": dial", "mbx1")
	p.mailboxes["db1"] = false
	r = p.runs(&Run{}, p.back().SelfTest("mbx2"))
	p.want(r, "Succeeded, , in \"\": answer")
	if r.Account != "" || r.Mailbox != "mbx2" {
		t.Errorf("without a health mailbox: %+v", r)
	}
	p.want(p.runs(&Run{}, p.back().SelfTest("mbx1")), "Failed, Networking, in \"dial\": answer")
	if r := p.runs(&Run{Account: "health2", Password: "wrong"},
		p.back().SelfTest("mbx2")); r.Dependency != Authentication {
		t.Errorf("by an account with a wrong password: %s", blames(r))
	}
}

// A server that hangs up before it has signed the health mailbox out is at fault.
func TestSelfTestHangsUp(t *testing.T) {
	s := testkit.Scripted(t, nil, signsIn+"C: ${tag} LOGOUT\nclose")
	p := newProbed(t, s.Addr(), s.Addr())
	p.want(p.runs(&Run{}, p.back().SelfTest("mbx1")),
		"Failed, Networking, in \"logout\": dial greeting signin logout")
}

// A deep test reads the mailbox on the server with the active copy, and tells who wants to know what it has read
// where.
func TestDeepTest(t *testing.T) {
	testkit.NoLeaks(t)
	server := mailServer(t, nil)
	p := newProbed(t, server, server)
	r := p.runs(&Run{}, p.back().DeepTest("db1", false))
	p.want(r, signedIn+"open select fetch logout")
	if r.Account != "health1" || r.Mailbox != "mbx1" || !strings.HasPrefix(r.Sent, "FETCH 1 (UID") ||
		!strings.HasSuffix(r.Sent, "); LOGOUT") {
		t.Errorf("%+v", r)
	}
	p.want(p.runs(&Run{}, p.back().DeepTest("db1", true)),
		signedIn+"open select fetch append select search delete logout")
	p.want(p.runs(&Run{}, p.back().DeepTest("db3", false)), "Failed, High Availability, in \"route\": ",
		"there is no active copy")
	p.mailboxes["db1"] = false
	p.want(p.runs(&Run{}, p.back().DeepTest("db1", false)), "Failed, Authentication, in \"account\": ",
		"db1 has no health mailbox")
	if got := fmt.Sprint(p.read); got != "[db1 on mbx1 db1 on mbx1]" {
		t.Errorf("it has read %s", got)
	}
}

// What fails behind a sign-in that works is the mailbox.
func TestMailboxAtFault(t *testing.T) {
	testkit.NoLeaks(t)
	const tookIn = "dial greeting signin open"
	for _, cell := range []struct{ name, script, phase, steps, words string }{
		{"no mailbox", signsIn + "C: ${tag} EXAMINE *\nS: ${tag} NO no such mailbox\neof", "select", "select",
			"no such mailbox"},
		{"no answer", signsIn + "C: ${tag} EXAMINE *\nclose", "select", "select", ""},
		{"no message",
			examines + "C: ${t1} FETCH *\nC: ${t2} LOGOUT\nS: ${t1} OK done\nS: * BYE\nS: ${t2} OK out\neof",
			"fetch", "select fetch", "does not return the first"},
		{"bad message",
			examines + "C: ${t1} FETCH *\nC: ${t2} LOGOUT\nS: ${t1} NO damaged\nS: * BYE\nS: ${t2} OK out\neof",
			"fetch", "select fetch", "damaged"},
		{"no end", examines + "C: ${t1} FETCH *\nC: ${t2} LOGOUT\nS: * 1 FETCH (UID 1)\nS: ${t1} OK done\nclose",
			"logout", "select fetch logout", ""},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			s := testkit.Scripted(t, nil, cell.script)
			p := newProbed(t, s.Addr(), s.Addr())
			r := p.runs(&Run{}, p.back().DeepTest("db1", false))
			p.want(r, fmt.Sprintf("Failed, Information Store, in %q: %s %s", cell.phase, tookIn, cell.steps),
				cell.words)
			if len(p.read) > 0 {
				t.Errorf("it has read %q", p.read)
			}
		})
	}
}

// A copy test reads the mailbox where it is not active, and has nothing to look at where it is.
func TestCopyTest(t *testing.T) {
	testkit.NoLeaks(t)
	server := mailServer(t, nil)
	p := newProbed(t, "127.0.0.1:"+testkit.FreePort(t), server)
	for _, copies := range [][2]string{{"db1", "mbx1"}, {"db3", "mbx2"}} {
		if r := p.runs(&Run{}, p.back().CopyTest(copies[0], copies[1])); r.Err != ErrNoSample.Error() {
			t.Errorf("%s on %s: %s", copies[0], copies[1], blames(r))
		}
	}
	r := p.runs(&Run{}, p.back().CopyTest("db1", "mbx2"))
	p.want(r, signedIn+"open select fetch logout")
	if fmt.Sprint(p.read) != "[db1 on mbx2]" || r.Mailbox != "mbx2" || r.Account != "health1" {
		t.Errorf("it has read %q, %+v", p.read, r)
	}
}

// When a sign-in fails, the other servers with a copy tell whether the account or the server is to blame. A server
// that gives no answer may wait for the directory.
func TestWhoJudgesPasswords(t *testing.T) {
	testkit.NoLeaks(t)
	const hangs = hello + "C: ${tag} LOGIN *\nsilent"
	in, out := signsIn+"eof", refuses
	directoryDown := fmt.Errorf("%w: no answer", directory.ErrUnavailable)
	for _, cell := range []struct {
		name         string
		first, other string // other is "" where there is no other copy
		down         error
		want         Dependency
		words        string
	}{
		{"refused here alone", out, in, nil, MailboxServerAuthentication, "mbx2 accepts the same sign-in"},
		{"refused everywhere", out, out, nil, Authentication, "account health1"},
		{"refused where there is no other copy", out, "", nil, Authentication, "account health1"},
		{"refused with the directory down", out, in, directoryDown, MailboxServerAuthentication, "mbx2 accepts"},
		{"silent here alone", hangs, in, nil, MailboxServerAuthentication, "mbx2 accepts the same sign-in"},
		{"silent here and refused there", hangs, out, nil, Authentication, "mbx2 does not accept it either"},
		{"silent where there is no other copy", hangs, "", nil, MailboxServerAuthentication, ""},
		{"silent with the directory down", hangs, in, directoryDown, ActiveDirectory, "no answer"},
		{"too many connections", hello + "C: ${tag} LOGIN *\nS: ${tag} NO [LIMIT] no more\neof", in, nil,
			Authentication,
			"account health1 has used up the connections that mbx1 allows it"},
		{"too many connections, as Dovecot says it", hello + "C: ${tag} LOGIN *\nS: ${tag} NO [UNAVAILABLE] " +
			"Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)\neof", in, nil,
			Authentication,
			"account health1 has used up the connections that mbx1 allows it"},
		{"unavailable", hello + "C: ${tag} LOGIN *\nS: ${tag} NO [UNAVAILABLE] later\neof", in, nil,
			MailboxServerAuthentication, "mbx2 accepts the same sign-in"},
		{"hangs up", hello + "C: ${tag} LOGIN *\nclose", in, nil, Networking, ""},
		{"no mechanism", "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\neof", in, nil,
			MailboxServerAuthentication, "no mechanism"},
	} {
		t.Run(strings.ReplaceAll(cell.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			first := testkit.Scripted(t, nil, cell.first)
			p := &probed{t: t, mailboxes: map[string]bool{"db1": true}, down: cell.down}
			options := backend.Options{
				Servers:   []backend.ServerOptions{{Name: "mbx1", Addresses: []string{first.Addr()}}},
				Databases: []backend.DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
				Directory: p,
			}
			if cell.other != "" {
				other := testkit.Scripted(t, nil, cell.other)
				options.Servers = append(options.Servers, backend.ServerOptions{Name: "mbx2",
					Addresses: []string{other.Addr()}})
				options.Databases[0].Copies = append(options.Databases[0].Copies, "mbx2")
			}
			p.tier = complete.Tier(t, options)
			timeout := testkit.Patience
			if cell.first == hangs {
				timeout = time.Second // what is asked beside has time of its own
			}
			r := (&Probe{Run: p.back().DeepTest("db1", false)}).execute(t.Context(), timeout, time.Now, new(Run))
			if r.Dependency != cell.want || !strings.Contains(r.Err, cell.words) {
				t.Errorf("%s: %s", blames(r), r.Err)
			}
		})
	}
}

// A server that lets users in judges sign-ins: what it refuses is the account.
func TestUsersSignIn(t *testing.T) {
	testkit.NoLeaks(t)
	first := testkit.Scripted(t, nil, signsIn+"eof", refuses, refuses)
	other := testkit.Scripted(t, nil, signsIn+"eof")
	p := newProbed(t, first.Addr(), other.Addr())
	route, err := p.tier.Route(t.Context(), directory.Query{User: "health1", Login: "health1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	link, err := p.tier.SignIn(testkit.Context(t), route, backend.SignInRequest{
		Tag: "a", User: "alice", Credential: backend.Credential{Username: "alice", Password: "sesame"},
	})
	if err != nil {
		t.Fatal(err)
	}
	link.Conn.Close()
	r := p.runs(&Run{}, p.back().DeepTest("db1", false))
	if r.Dependency != Authentication || !strings.Contains(r.Err, "account health1, while users sign in to mbx1") {
		t.Errorf("%s: %s", blames(r), r.Err)
	}
}

// errFake is no error of a mailbox server.
var errFake = errors.New("no such file")

// A health password that cannot be read is nobody's fault but the account's.
func TestNoPassword(t *testing.T) {
	p := newProbed(t, "127.0.0.1:1", "127.0.0.1:1")
	b := p.back()
	b.Mailbox = func(string) (Mailbox, bool) {
		return Mailbox{User: "health1", Name: "health1", Password: func() (secret.Value, error) {
			return "",
				errFake
		}}, true
	}
	r := p.runs(&Run{}, b.DeepTest("db1", false))
	p.want(r, "Failed, Authentication, in \"account\": ", "no such file")
	if r.Account != "health1" || slices.Contains(p.read, "db1 on mbx1") {
		t.Errorf("%+v", r)
	}
}

// The probe of another plan goes on as the one before: it writes no more often, and its messages have the same mark, so
// it removes what a run has left that was broken off.
func TestWritersOutlastPlans(t *testing.T) {
	testkit.NoLeaks(t)
	server := mailServer(t, nil)
	p := newProbed(t, server, server)
	back := p.back()
	back.Writers = new(Writers)
	for _, steps := range []string{"open select fetch append select search delete logout", "open select fetch logout"} {
		p.want(p.runs(&Run{}, back.DeepTest("db1", true)), signedIn+steps)
	}
}
