package e2e

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"strings"
	"sync"
	"testing"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// mailServer is a real server of which each test takes new users.
type mailServer interface {
	deliver(t *testing.T, user string, n int) // puts the n-th of the test messages in a user's INBOX
	address() string                          // for connections straight to it, in plain text
}

// jailedServer is a Cyrus or a Courier that all tests share; it starts with the first that needs it.
type jailedServer struct {
	name   string
	unlike map[string]bool // dialogues that it does not hold as they are written; true: it does behind Portico
	begin  func(ctx context.Context) (*backendtest.Daemon, func(...backendtest.User) error, error)

	once  sync.Once
	d     *backendtest.Daemon
	add   func(...backendtest.User) error
	err   error
	taken int // users
}

// The servers beside Dovecot. Cyrus offers more than others and lists it all upon sign-in. Courier offers no LITERAL+
// and does not say at sign-in what it offers.
var (
	cyrus = &jailedServer{name: "Cyrus", unlike: map[string]bool{
		"signin-plain-select-behind":  true,  // it drops what comes in one packet with the response of AUTHENTICATE
		"literal-marker-nobody-wants": false, // it waits for the literal of NOOP {3}
	}, begin: func(ctx context.Context) (*backendtest.Daemon, func(...backendtest.User) error, error) {
		c, err := backendtest.StartCyrus(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		return c.Daemon, c.AddUsers, nil
	}}
	courier = &jailedServer{name: "Courier", unlike: map[string]bool{
		"signin-login-literal-plus":  true, // it knows no LITERAL+; Portico reads that of LOGIN
		"signin-odd-tag":             true, // it refuses a tag with a tilde; Portico signs in under one of its own
		"signin-plain-select-behind": true, // it drops what comes in one packet with the sign-in
		"signin-select-behind":       true,
		"signin-split":               true,

		"append-big":                     true, // it knows no LITERAL+; Portico makes literals synchronising
		"append-plus":                    true,
		"append-refused-commands-inside": true,
		"append-refused-plus":            true,
		"fetch-big":                      true,
		"fetch-looks-like-answers":       true,
		"literals-as-arguments":          true,
		"signin-append-behind":           true,
		"split-append":                   true,

		"literal-marker-nobody-wants": false, // it takes the lines of a literal that nobody wants for commands
		"multiappend":                 false, // it knows no MULTIAPPEND
		"multiappend-refused":         false,
		"odd-tags":                    false, // it refuses a tag with a tilde
		"line-without-tag":            false, // it answers NO, not BAD
		"fetch-huge":                  false, // it ends a session at a line of 20 KB
	}, begin: func(ctx context.Context) (*backendtest.Daemon, func(...backendtest.User) error, error) {
		c, err := backendtest.StartCourier(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		return c.Daemon, c.AddUsers, nil
	}}
)

// need starts the server if no test has yet, and skips the test where there is none.
func (s *jailedServer) need(t *testing.T) {
	t.Helper()
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		s.d, s.add, s.err = s.begin(ctx)
	})
	var missing *backendtest.MissingError
	if errors.As(s.err, &missing) {
		testkit.Lack(t, missing)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	testkit.NoLeaks(t)
}

// stop stops the server, if it has started.
func (s *jailedServer) stop() {
	if s.d != nil {
		s.d.Close()
	}
}

func (s *jailedServer) address() string { return s.d.Address }

// user returns a user whom no other test has, with some mail.
func (s *jailedServer) user(t *testing.T, messages int) string {
	t.Helper()
	const batch = 20 // adding one costs as much as adding several
	if s.taken%batch == 0 {
		var more []backendtest.User
		for i := range batch {
			more = append(more, backendtest.User{Name: userName(s.taken + i), Password: password})
		}
		must(t, s.add(more...))
	}
	name := userName(s.taken)
	s.taken++
	for n := range messages {
		s.deliver(t, name, n)
	}
	return name
}

func (s *jailedServer) deliver(t *testing.T, user string, n int) {
	t.Helper()
	c := testkit.Dial(t, s.d.Address, nil)
	defer c.Close()
	c.Expect("* OK *")
	c.Command("a", "LOGIN "+user+" "+password)
	message := testMessage(n)
	c.Sendf("b APPEND INBOX {%d}", len(message))
	c.Expect("+*")
	c.SendRaw(string(message) + "\r\n")
	c.ReadUntilTagged("b")
	c.Command("c", "LOGOUT")
}

// behind returns the server as the front end's only one.
func (s *jailedServer) behind() []backend.ServerOptions {
	return []backend.ServerOptions{{Name: "mbx1", Addresses: []string{s.d.Address}}}
}

// Every dialogue with Cyrus and Courier gives the same with Portico in between as without.
func TestTransparencyOfServers(t *testing.T) {
	all := dialogues(t)
	for _, s := range []*jailedServer{cyrus, courier} {
		t.Run(s.name, func(t *testing.T) {
			exceptions := maps.Clone(s.unlike)
			for _, d := range all {
				delete(exceptions, d.name)
				behindAlone, unlike := s.unlike[d.name]
				switch {
				case d.script != "":
				case !unlike:
					t.Run(d.name, func(t *testing.T) { s.compare(t, d) })
				case behindAlone:
					t.Run(d.name, func(t *testing.T) { s.hold(t, d) })
				}
			}
			for name := range exceptions {
				t.Errorf("there is no dialogue %s", name)
			}
		})
	}
}

func (s *jailedServer) compare(t *testing.T, d dialogue) {
	s.need(t)
	want, wantEnd := s.play(t, d, s.address())
	want = listOf.ReplaceAllStringFunc(want, withoutHidden)
	f := startFrontEnd(t, options{servers: s.behind()})
	got, end := s.play(t, d, f.plain)
	same(t, "plain", got, end, want, wantEnd)
}

// hold holds a dialogue behind Portico alone, to its end.
func (s *jailedServer) hold(t *testing.T, d dialogue) {
	s.need(t)
	f := startFrontEnd(t, options{servers: s.behind()})
	if said, end := s.play(t, d, f.plain); end != endEOF {
		t.Errorf("ended by %s:\n%s", end, said)
	}
}

// play holds a dialogue as a new user, and returns what was said and how it ended.
func (s *jailedServer) play(t *testing.T, d dialogue, address string) (said, end string) {
	user := s.user(t, d.mail)
	p := &play{t: t, stream: dialStream(t, address, nil), user: user, real: s}
	said, end = p.hold(d)
	return normalise(said, user), end
}

// listOf is a list of capabilities as servers send it. Those in the test's mail are short.
var listOf = regexp.MustCompile(`\[CAPABILITY [^\]]{60,}\]|\* CAPABILITY [^\r]{60,}`)

// withoutHidden takes out of a list what Portico takes out.
func withoutHidden(list string) string {
	return strings.NewReplacer(" COMPRESS=DEFLATE", "", " UNAUTHENTICATE", "", " STARTTLS", "").Replace(list)
}
