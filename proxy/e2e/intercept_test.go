package e2e

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// forbidden are the commands that Portico answers itself, and what it says.
var forbidden = []struct{ command, answer string }{
	{"COMPRESS DEFLATE", "NO [CANNOT] "},
	{"STARTTLS", "BAD "},
	{"UNAUTHENTICATE", "BAD "},
}

// In every manner of writing, a forbidden command gets Portico's answer.
func TestForbiddenCommands(t *testing.T) {
	compressing.need(t)
	f := front(t, options{servers: compressing.behind(backend.TLSNone)})
	spellings := []func(string) string{
		func(c string) string { return "c " + c + "\r\n" },
		func(c string) string { return "c " + strings.ToLower(c) + "\r\n" },
		func(c string) string { return "c " + c + "\n" },
		func(c string) string { return "c " + c + " \r\n" },
		func(c string) string { return "c " + c + " and more {3}\r\n" },
		func(c string) string { return "c " + c + " and more {3+}\r\nabc\r\n" },
		func(c string) string { return "c " + c + "\r\r\n" },
	}
	for _, bad := range forbidden {
		for i, spell := range spellings {
			for _, bytewise := range []bool{false, true} {
				h := hide{"", []string{spell(bad.command)}, fateRefused}
				said := smuggle(t, f.plain, nil, compressing.user(t, 0), h.parts, bytewise, false, testkit.Patience)
				if !strings.Contains(said, "\nc "+bad.answer) || !strings.Contains(said, "\nz OK") {
					t.Errorf("%s, spelling %d, byte by byte %v: %s", bad.command, i, bytewise, said)
				}
			}
		}
	}
	if n := f.metric("portico_commands_intercepted_total"); n != float64(len(forbidden)*len(spellings)*2) {
		t.Errorf("%v counted", n)
	}
}

// However it is hidden, a forbidden command never reaches Dovecot, which offers COMPRESS: at worst the session ends.
func TestHiddenCommands(t *testing.T) {
	compressing.need(t)
	f := front(t, options{servers: compressing.behind(backend.TLSNone)})
	user := compressing.user(t, 1)
	slipped := 0
	for _, h := range hides() {
		if direct := smuggle(t, compressing.server.Plain, nil, user, h.fill("c COMPRESS DEFLATE\r\n"), false, false, quiet); strings.Contains(direct, compressed) {
			slipped++
		}
		patience := quiet
		if h.want != fateSafe {
			patience = testkit.Patience
		}
		for _, bad := range forbidden {
			for _, how := range []struct{ bytewise, behindLogin bool }{{false, false}, {true, false}, {false, true}} {
				if bad.command == "UNAUTHENTICATE" && (how.bytewise || how.behindLogin) {
					continue // not known to this Dovecot
				}
				what := fmt.Sprintf("%s %s, byte by byte %v, behind LOGIN %v", bad.command, h.name, how.bytewise, how.behindLogin)
				if how.bytewise && len(h.parts[0]) > 1000 {
					continue
				}
				said := smuggle(t, f.plain, nil, user, h.fill("c "+bad.command+"\r\n"), how.bytewise, how.behindLogin, patience)
				judge(t, what, h, said, bad.answer, len(h.parts) > 1 && how.behindLogin)
			}
		}
	}
	// Without Portico they do compress, or this test shows nothing.
	if slipped < 60 {
		t.Errorf("only %d of %d get through to Dovecot without Portico", slipped, len(hides()))
	}
}

// compressed is what Dovecot says when it begins to.
const compressed = "Begin compression"

// judge checks what a client was told that tried to hide a command. early says that it sent its second part without waiting.
func judge(t *testing.T, what string, h hide, said, answer string, early bool) {
	t.Helper()
	for i := range len(said) {
		if c := said[i]; c >= 0x7f || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
			t.Errorf("%s: byte %#x in what the client was told: %q", what, c, said)
			return
		}
	}
	refused := strings.Contains(said, "\nc "+answer)
	logout := strings.Contains(said, "\nz OK ")
	switch {
	case strings.Contains(said, compressed), strings.Contains(said, "\nc OK"), strings.Contains(said, "Begin TLS"):
		t.Errorf("%s: it got through: %q", what, said)
	case early:
	case h.want == fateRefused && (!refused || !logout), h.want == fateData && (strings.Contains(said, "\nc ") || !logout):
		t.Errorf("%s: %q", what, said)
	}
}

// quiet is how long a server that waits for the rest of a literal is given to say something.
const quiet = 300 * time.Millisecond

// smuggle signs in, sends the parts and a LOGOUT, and returns what the server said. A server that does not answer the LOGOUT in
// time is told that nothing more will come.
func smuggle(t *testing.T, address string, config *tls.Config, user string, parts []string, bytewise, behindLogin bool, patience time.Duration) string {
	t.Helper()
	s := dialStream(t, address, config)
	defer s.Close()
	login := "l LOGIN " + user + " " + password + "\r\n"
	last := parts[len(parts)-1] + strings.Repeat("z LOGOUT\r\n", 3) // a literal may take the first
	if behindLogin {
		s.send(login + strings.Join(parts[:len(parts)-1], "") + last)
	} else {
		s.send(login)
		at, _ := s.await(0, begins("l"))
		for _, part := range parts[:len(parts)-1] {
			sendAs(s, part, bytewise)
			at, _ = s.await(at, line(func(l string) bool { return strings.HasPrefix(l, "+") || strings.HasPrefix(l, "b ") }))
		}
		sendAs(s, last, bytewise)
	}
	s.awaitFor(patience, 0, line(func(l string) bool { return strings.Contains(l, compressed) || strings.HasPrefix(l, "z ") }))
	s.Conn.(interface{ CloseWrite() error }).CloseWrite()
	said, _ := s.rest()
	return said
}

func sendAs(s *stream, text string, bytewise bool) {
	if bytewise {
		s.sendBytes(text)
	} else {
		s.send(text)
	}
}
