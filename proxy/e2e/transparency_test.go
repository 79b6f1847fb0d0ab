package e2e

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// Every dialogue gives the same bytes with Portico in between as without: in plain text, with TLS on both sides, and
// with what either side says cut into odd pieces on its way to Portico.
func TestTransparency(t *testing.T) {
	for _, d := range dialogues(t) {
		t.Run(d.name, func(t *testing.T) {
			if d.script != "" {
				compareScripted(t, d)
			} else {
				compareReal(t, d)
			}
		})
	}
}

// dialogues reads all dialogues.
func dialogues(t *testing.T) (all []dialogue) {
	t.Helper()
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	for _, file := range files {
		all = append(all, readDialogue(t, file))
	}
	return all
}

func compareReal(t *testing.T, d dialogue) {
	server := compressing
	if d.simple {
		server = simple
	}
	server.need(t)
	run := func(address string, config *tls.Config) (string, string) {
		user := server.user(t, d.mail)
		p := &play{t: t, stream: dialStream(t, address, config), user: user, real: server}
		said, end := p.hold(d)
		return normalise(said, user), end
	}
	want, wantEnd := run(server.server.Plain, nil)
	want = hidden.ReplaceAllString(want, " $1")
	plain := startFrontEnd(t, options{servers: server.behind(backend.TLSNone)})
	got, end := run(plain.plain, nil)
	same(t, "plain", got, end, want, wantEnd)
	secure := startFrontEnd(t, options{servers: server.behind(backend.TLSImplicit)})
	got, end = run(secure.tls, secure.trust)
	same(t, "TLS", got, end, want, wantEnd)
	logged := startFrontEnd(t, options{servers: server.behind(backend.TLSNone), logged: true})
	got, end = run(logged.plain, nil)
	same(t, "logged", got, end, want, wantEnd)
	logged.sameRows(d)
	chopped := startFrontEnd(t, options{servers: []backend.ServerOptions{
		{Name: "mbx1", Addresses: []string{chop(t, server.server.Plain, 1)}}}, logged: true})
	got, end = run(chop(t, chopped.plain, 2), nil)
	if !d.pipelined() && !d.early {
		chopped.sameRows(d)
	}
	if d.pipelined() {
		got, want = sortLines(got), sortLines(want)
	}
	same(t, "chopped", got, end, want, wantEnd)
}

func compareScripted(t *testing.T, d dialogue) {
	testkit.NoLeaks(t)
	serverTLS, trust := testkit.TLS(t)
	run := func(address string, config *tls.Config) (string, string) {
		p := &play{t: t, stream: dialStream(t, address, config), user: userName(0)}
		said, end := p.hold(d)
		return normalise(said, p.user), end
	}
	want, wantEnd := run(testkit.Scripted(t, nil, d.script).Addr(), nil)
	want = hidden.ReplaceAllString(want, " $1")
	plain := startFrontEnd(t, options{servers: []backend.ServerOptions{
		{Name: "mbx1", Addresses: []string{testkit.Scripted(t, nil, d.script).Addr()}}}})
	got, end := run(plain.plain, nil)
	same(t, "plain", got, end, want, wantEnd)
	secure := startFrontEnd(t, options{servers: []backend.ServerOptions{
		{Name: "mbx1", TLS: backend.TLSImplicit, TLSConfig: trust,
			Addresses: []string{testkit.Scripted(t, serverTLS, "tls\n"+d.script).Addr()}}}})
	got, end = run(secure.tls, secure.trust)
	same(t, "TLS", got, end, want, wantEnd)
	portable := startFrontEnd(t, options{goroutines: true, servers: []backend.ServerOptions{
		{Name: "mbx1", TLS: backend.TLSImplicit, TLSConfig: trust,
			Addresses: []string{testkit.Scripted(t, serverTLS, "tls\n"+d.script).Addr()}}}})
	got, end = run(portable.tls, portable.trust)
	same(t, "TLS, goroutines", got, end, want, wantEnd)
	logged := startFrontEnd(t, options{logged: true, servers: []backend.ServerOptions{
		{Name: "mbx1", Addresses: []string{testkit.Scripted(t, nil, d.script).Addr()}}}})
	got, end = run(logged.plain, nil)
	same(t, "logged", got, end, want, wantEnd)
	logged.sameRows(d)
	chopped := startFrontEnd(t, options{logged: true, servers: []backend.ServerOptions{
		{Name: "mbx1", Addresses: []string{chop(t, testkit.Scripted(t, nil, d.script).Addr(), 1)}}}})
	got, end = run(chop(t, chopped.plain, 2), nil)
	same(t, "chopped", got, end, want, wantEnd)
	chopped.sameRows(d)
}

func same(t *testing.T, how, got, end, want, wantEnd string) {
	t.Helper()
	if wantEnd == endOpen {
		t.Errorf("%s: the server does not close; it said:\n%s", how, want)
	}
	if got != want || end != wantEnd {
		t.Errorf("%s: %s\nended by %s instead of %s\n--- without Portico:\n%s\n--- with:\n%s",
			how, difference(got, want), end, wantEnd, clip(want), clip(got))
	}
}

// sortLines is for answers to several commands at once: which of them Dovecot answers first depends on which it reads
// together.
func sortLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// difference says where two texts part.
func difference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	from := max(i-40, 0)
	return fmt.Sprintf("from byte %d: got %q, want %q", i, clip(got[from:]), clip(want[from:]))
}

func clip(text string) string {
	const limit = 3000
	if len(text) > limit {
		return fmt.Sprintf("%s\n... %d bytes more", text[:limit], len(text)-limit)
	}
	return text
}

// differing is what two mailboxes and two sessions never have in common, and what stands for it.
var differing = []struct {
	pattern *regexp.Regexp
	becomes string
}{
	// Dovecot's times, and the numbers that it makes of them.
	{regexp.MustCompile(`\(\d+\.\d+ \+ \d+\.\d+( \+ \d+\.\d+)? secs\)`), "(TIME)"},
	{regexp.MustCompile(`\[UIDVALIDITY \d+\]`), "[UIDVALIDITY N]"},
	{regexp.MustCompile(`UIDVALIDITY \d+\)`), "UIDVALIDITY N)"},
	{regexp.MustCompile(`\[(APPENDUID|COPYUID) \d+ `), "[$1 N "},
	{regexp.MustCompile(`INTERNALDATE "[^"]*"`), "INTERNALDATE DATE"},
	{regexp.MustCompile(`SAVEDATE "[^"]*"`), "SAVEDATE DATE"},
	{regexp.MustCompile(`boundary="[^"]*"`), "boundary=B"},
	// Cyrus's.
	{regexp.MustCompile(`SESSIONID=<[^>]*>`), "SESSIONID=<N>"},
	{regexp.MustCompile(`\((\d+ msgs in )?\d+\.\d+ secs?( \d+ calls)?\)`), "(TIME)"},
	{regexp.MustCompile(`MAILBOXID \([^)]*\)`), "MAILBOXID (N)"},
}

// hidden are the names that Portico takes out of capability lists, behind the names where the servers here list them:
// Dovecot 2.3 has them at the end, 2.4 behind SAVEDATE. A message may have them anywhere.
var hidden = regexp.MustCompile(` (NOTIFY|SAVEDATE)( COMPRESS=DEFLATE| UNAUTHENTICATE| STARTTLS)+`)

// normalise takes out of what a server said what may differ.
func normalise(said, user string) string {
	for _, d := range differing {
		said = d.pattern.ReplaceAllString(said, d.becomes)
	}
	return strings.ReplaceAll(said, user, "USER")
}
