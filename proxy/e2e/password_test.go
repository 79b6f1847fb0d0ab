package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/proxy"
)

// mark is a password that is looked for.
const mark = "Zw31eck-mark"

// confession is one way for a client to tell its password, right or not.
type confession struct {
	name  string
	sends []string // after each but the last, "+" is waited for
}

func confessions() []confession {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	plain := encode("\x00ada\x00" + mark)
	size := fmt.Sprint(len(mark))
	return []confession{
		{"atom", []string{"a LOGIN ada " + mark + "\r\n"}},
		{"quoted", []string{"a LOGIN \"ada\" \"" + mark + "\"\r\n"}},
		{"literal", []string{"a LOGIN {3}\r\n", "ada {" + size + "}\r\n", mark + "\r\n"}},
		{"literal unasked", []string{"a LOGIN {3+}\r\nada {" + size + "+}\r\n" + mark + "\r\n"}},
		{"PLAIN", []string{"a AUTHENTICATE PLAIN\r\n", plain + "\r\n"}},
		{"PLAIN at once", []string{"a AUTHENTICATE PLAIN " + plain + "\r\n"}},
		{"PLAIN for another", []string{"a AUTHENTICATE PLAIN " + encode("ada\x00bob\x00"+mark) + "\r\n"}},
		{"LOGIN mechanism", []string{"a AUTHENTICATE LOGIN\r\n", encode("ada") + "\r\n", encode(mark) + "\r\n"}},
		{"LOGIN mechanism at once", []string{"a AUTHENTICATE LOGIN " + encode("ada") + "\r\n", encode(mark) + "\r\n"}},

		{"XOAUTH2", []string{"a AUTHENTICATE XOAUTH2 " + encode("user=ada\x01auth=Bearer "+mark+"\x01\x01") + "\r\n"}},
		{"OAUTHBEARER", []string{"a AUTHENTICATE OAUTHBEARER\r\n",
			encode("n,a=ada,\x01auth=Bearer "+mark+"\x01\x01") + "\r\n"}},
		{"half a token", []string{"a AUTHENTICATE XOAUTH2 " + encode("user=ada\x01auth=Bearer "+mark) + "\r\n"}},
		{"a token in its user's place", []string{"a AUTHENTICATE OAUTHBEARER " + encode("n,a="+mark+"\x01") + "\r\n"}},

		{"half an atom", []string{"a LOGIN ada " + mark}},
		{"half a quoted string", []string{"a LOGIN ada \"" + mark}},
		{"quotes left open", []string{"a LOGIN ada \"" + mark + "\r\n"}},
		{"half a literal", []string{"a LOGIN ada {100}\r\n", mark}},
		{"half a response", []string{"a AUTHENTICATE PLAIN\r\n", plain[:len(plain)-4]}},
		{"too many arguments", []string{"a LOGIN ada " + mark + " " + mark + "\r\n"}},
		{"too few arguments", []string{"a LOGIN\r\n" + mark + "\r\n"}},
		{"bytes that may not be", []string{"a LOGIN ada " + mark + "\x00\xff\r\n"}},
		{"no command", []string{mark + "\r\n", ""}},
		{"a line too long", []string{"a LOGIN ada " + mark + strings.Repeat("x", 20_000) + "\r\n"}},
		{"a literal too long", []string{"a LOGIN ada {200000+}\r\n" + mark + strings.Repeat("x", 20_000)}},
		{"no base64", []string{"a AUTHENTICATE PLAIN\r\n", mark + "!\r\n"}},
		{"no base64 at once", []string{"a AUTHENTICATE PLAIN " + mark + "!\r\n"}},
		{"too few fields", []string{"a AUTHENTICATE PLAIN " + encode("ada"+mark) + "\r\n"}},
		{"too many fields", []string{"a AUTHENTICATE PLAIN " + encode("\x00ada\x00"+mark+"\x00") + "\r\n"}},
		{"unknown mechanism", []string{"a AUTHENTICATE XMARK " + plain + "\r\n"}},
		{"after sign-in", []string{"a LOGIN ada " + mark + "\r\nb LOGIN ada " + mark + "\r\n"}},
		{"after sign-in, everywhere", []string{"a LOGIN ada " + mark + "\r\n" + later(plain)}},
	}
}

// later is what a client may say after sign-in, with the password where it may get by mistake, or hold what nobody
// else is to read. Names of mailboxes are not among it: those are shown.
func later(plain string) string {
	size := fmt.Sprint(len(mark))
	var all strings.Builder
	for i, command := range []string{
		mark, mark + " " + mark, "X" + mark + " " + mark, "NOOP " + mark, "UID " + mark, "UID NOOP " + mark,
		"SEARCH TEXT " + mark, "SEARCH " + mark, "SEARCH HEADER " + mark + " " + mark,
		"UID SEARCH SUBJECT \"" + mark + "\"", "SORT (DATE) UTF-8 FROM {" + size + "+}\r\n" + mark,
		"FETCH " + mark + " FLAGS", "FETCH 1 (" + mark + ")", "FETCH 1 BODY[HEADER.FIELDS (" + mark + ")]",
		"STORE 1 +FLAGS (" + mark + ")",
		"COPY " + mark + " x", "MOVE 1 {" + size + "+}\r\n" + mark, "SELECT {" + size + "+}\r\n" + mark,
		"APPEND x (" + mark + ") {" + size + "+}\r\n" + mark,
		"SETMETADATA x (/private/comment \"" + mark + "\")",
		"GENURLAUTH \"imap://ada@x/;urlauth=" + mark + "\" INTERNAL", "URLFETCH \"" + mark + "\"",
		"RESETKEY " + mark, "SETACL x " + mark + " lrs",
		"ID (\"" + mark + "\" \"" + mark + "\" \"token\" \"" + mark + "\")", "ENABLE " + mark,
		"COMPRESS " + mark, "STARTTLS " + mark, "NOTIFY SET (" + mark + ")",
		// A server that takes one of these has signed the user out before, and the session ends.
		"AUTHENTICATE " + mark, "AUTHENTICATE PLAIN " + plain, "LOGIN {3+}\r\nada {" + size + "+}\r\n" + mark,
		"LOGIN \"ada\" \"" + mark + "\"",
	} {
		fmt.Fprintf(&all, "c%d %s\r\n", i, command)
	}
	return all.String() + mark + " NOOP\r\n" + plain + " NOOP\r\n" // as tags
}

// hears is the greeting of a server that takes every mechanism.
const hears = "S: * OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER " +
	"AUTH=SCRAM-SHA-256] hello\n"

// ears are mailbox servers, as what they do with a credential.
var ears = map[string]string{
	"accepts": hears + "C: ${tag} *\nS: ${tag} OK in\nanswer-all",
	"refuses": hears + "C: ${tag} *\nS: ${tag} NO no",
	"says it again": hears + "C: ${tag} *\nS: * OK you said " + mark + "\nS: ${tag} NO [ALERT] the password " +
		mark + " is wrong",
	"says it in BYE":   hears + "C: ${tag} *\nS: * BYE [ALERT] not with " + mark,
	"says it in BAD":   hears + "C: ${tag} *\nS: ${tag} BAD what is " + mark + "?",
	"says it as a tag": hears + "C: ${tag} *\nS: " + mark + " OK in",
	"dies":             hears + "C: ${tag} *\nreset",
	"hangs":            hears + "C: ${tag} *\nsilent",
}

// However a sign-in goes, the password is in no log, no metric, no error and no answer to the client; not encoded
// either.
func TestPasswordsStayUnsaid(t *testing.T) {
	for name, script := range ears {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { listen(t, script, nil, nil) })
	}
	t.Run("panics", func(t *testing.T) {
		listen(t, ears["accepts"], func(tier proxy.Tier) proxy.Tier { return panicking{tier} }, nil)
	})
	t.Run("unreachable", func(t *testing.T) {
		listen(t, "close", nil, nil)
	})
	for name, verifier := range map[string]directory.Verifier{
		"verified": knows{"ada", mark}, "refused": knows{"ada", "another"}, "verifier talks": talks{},
		"verifier panics": talks{panics: true},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			listen(t, ears["accepts"], nil, func(o *backend.Options) {
				o.Mode, o.Verifier, o.Master = directory.ModeMaster, verifier, &backend.Master{User: "portico",
					Password: mark}
			})
		})
	}
}

// talks is a verifier that tells all it was told.
type talks struct{ panics bool }

func (v talks) Verify(_ context.Context, q directory.Query) (string, error) {
	text := fmt.Sprintf("%v %+v %#v %s %q %x", q, q, q, q.Password, q.Password, q.Password)
	if v.panics {
		panic(text)
	}
	return "", errors.New(text)
}

// listen makes every confession, in plain text and with TLS, and looks for the mark.
func listen(t *testing.T, script string, around func(proxy.Tier) proxy.Tier, of func(*backend.Options)) {
	testkit.NoLeaks(t)
	errs := &errorLog{}
	f := startFrontEnd(t, options{
		logged:   true,
		servers:  []backend.ServerOptions{{Name: "mbx1", Addresses: []string{lenient(t, script)}}},
		timeouts: backend.Timeouts{SignIn: 30 * time.Millisecond},
		settings: proxy.Settings{Timeouts: proxy.Timeouts{Idle: 2 * time.Second}},
		log:      zerolog.TraceLevel,
		backend:  of,
		tier: func(tier proxy.Tier) proxy.Tier {
			// so that tokens are taken, where they are
			if err := tier.(*backend.Tier).AskMechanisms(t.Context()); err != nil {
				t.Error(err)
			}
			if around != nil {
				tier = around(tier)
			}
			errs.Tier = tier
			return errs
		},
	})
	watched := f.watch()
	var told strings.Builder
	for _, c := range confessions() {
		for _, secure := range []bool{false, true} {
			s := dialStream(t, f.plain, nil)
			if secure {
				s = dialStream(t, f.tls, f.trust)
			}
			at, _ := s.await(0, begins("*"))
			for i, text := range c.sends {
				s.send(text)
				if i+1 < len(c.sends) {
					at, _ = s.await(at,
						line(func(l string) bool { return strings.HasPrefix(l, "+") || strings.Contains(l, "BAD") }))
				}
			}
			s.send("z LOGOUT\r\n")
			s.Conn.(interface{ CloseWrite() error }).CloseWrite()
			said, _ := s.rest()
			told.WriteString(said)
			s.Close()
		}
	}
	f.server.Close()
	if !strings.Contains(f.log.String(), "ada") {
		t.Error("nothing was logged at all")
	}
	rows, stream := f.rowsText(), watched()
	if strings.Contains(rows, "ProxySuccess") { // somebody was signed in
		for _, row := range []string{",search,TEXT {12},", ",login,ada *****,", ",authenticate,PLAIN,",
			",append,x ({12}) {12},", ",setmetadata,{"} {
			if !strings.Contains(rows, row) {
				t.Errorf("the protocol log has no row %s", row)
			}
		}
		if !strings.Contains(stream, `"search","parameters":"TEXT {12}"`) {
			t.Error("who watches has missed something")
		}
	}
	heard := strings.ReplaceAll(told.String(), "\n"+mark+" BAD ", "\n") // who writes it as a tag gets it back
	for where, text := range map[string]string{
		"the log": f.log.String(), "the metrics": f.metricsText(), "errors": errs.String(), "answers": heard,
		"the protocol log": rows, "the stream": stream, "the slow commands": fmt.Sprintf("%+v", f.server.Slow()),
	} {
		for _, form := range forms(mark) {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%q in %s: ...%s", form, where, (text[max(i-200, 0):min(i+100, len(text))]))
			}
		}
	}
}

// lenient starts a scripted server whose clients may leave the script.
func lenient(t *testing.T, script string) string {
	t.Helper()
	server := testkit.Scripted(quietly{t}, nil, script)
	return server.Addr()
}

// quietly is a test to which a server's complaints mean nothing.
type quietly struct{ testing.TB }

func (quietly) Errorf(string, ...any) {}

// forms are all that a secret may look like: itself, in hexadecimal, and in base64 behind any number of other bytes.
func forms(secret string) []string {
	all := []string{secret, strings.ToLower(secret), strings.ToUpper(secret), hex.EncodeToString([]byte(secret)),
		fmt.Sprint([]byte(secret))}
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
		all = append(all, encoded[4:len(encoded)-4])
	}
	return all
}

// panicking is a tier that panics with all it was told.
type panicking struct{ proxy.Tier }

func (p panicking) SignIn(_ context.Context, r backend.Route, q backend.SignInRequest) (*backend.Link, error) {
	panic(fmt.Sprintf("%v %+v %#v %s %q %x", r, q.Credential, q.Credential, q.Credential.Password,
		q.Credential.Password, q.Credential.Password))
}

// errorLog is a tier whose errors are kept, printed in every way.
type errorLog struct {
	proxy.Tier
	mu   sync.Mutex
	text strings.Builder
}

func (e *errorLog) SignIn(ctx context.Context, r backend.Route, q backend.SignInRequest) (*backend.Link, error) {
	link, err := e.Tier.SignIn(ctx, r, q)
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintf(&e.text, "%v %+v %#v\n", err, err, err)
	fmt.Fprintf(&e.text, "%v %+v %#v %s %q %x %d\n", q, q, q, q.Credential.Password, q.Credential.Password,
		q.Credential.Password, q.Credential.Password)
	return link, err
}

func (e *errorLog) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}
