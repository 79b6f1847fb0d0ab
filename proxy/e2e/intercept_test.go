package e2e

import (
	"fmt"
	"slices"
	"strconv"
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
	f := startFrontEnd(t, options{servers: compressing.behind(backend.TLSNone)})
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
				sm := smuggler{address: f.plain, user: compressing.user(t, 0), bytewise: bytewise,
					patience: testkit.Patience}
				said := sm.smuggle(t, []string{spell(bad.command)})
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

// Portico's answer never comes in the middle of one of the server's, wherever that stops for a while.
func TestAnswersStandBetweenResponses(t *testing.T) {
	const response = "* 1 FETCH (BODY[] {20}\r\nx OK y\r\n* BYE\r\nz OK)\r\n"
	const answer = "c NO [CANNOT] Compression is not available here\r\n"
	testkit.NoLeaks(t)
	var scripts []string
	for cut := range len(response) {
		scripts = append(scripts,
			login+"S: ${tag} OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] in\nC: ${fetch} FETCH 1 BODY[]\n"+
				"raw "+strconv.Quote("* 1 EXISTS\r\n"+response[:cut])+"\nC: ${noop} NOOP\nraw "+
				strconv.Quote(response[cut:])+
				"\nS: ${fetch} OK\nS: ${noop} OK\neof")
	}
	server := testkit.Scripted(t, nil, scripts...)
	f := startFrontEnd(t, options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}}})
	for cut := range len(response) {
		s := dialStream(t, f.plain, nil)
		s.send("l LOGIN ada " + password + "\r\nb FETCH 1 BODY[]\r\n")
		at, _ := s.await(0, begins("l"))
		s.await(at, line(func(l string) bool { return l == "* 1 EXISTS\r\n" }))
		s.send("c COMPRESS DEFLATE\r\nd NOOP\r\n")
		s.await(at, begins("d"))
		said, _ := s.text()
		s.Close()
		// Up to there the line is held back, since it may be a capability list, and the answer may pass it.
		held := cut <= len("* ")
		behind, before := "* 1 EXISTS\r\n"+response+answer, "* 1 EXISTS\r\n"+answer+response
		if !strings.HasPrefix(said[at:], behind) && !(held && strings.HasPrefix(said[at:], before)) {
			t.Errorf("cut at %d: %q", cut, said[at:])
		}
	}
}

// Dovecot says "+" at the CR of IDLE, and a client's packets may be cut behind it.
func TestPlusBeforeTheLineEnds(t *testing.T) {
	compressing.need(t)
	f := startFrontEnd(t, options{servers: compressing.behind(backend.TLSNone)})
	s := dialStream(t, f.plain, nil)
	defer s.Close()
	s.send("l LOGIN " + compressing.user(t, 0) + " " + password + "\r\ni IDLE\r")
	at, said := s.await(0, begins("+"))
	if !said {
		t.Fatal("no + before the line's end: this shows nothing")
	}
	s.send("\nDONE\r\nc COMPRESS DEFLATE\r\nd NOOP\r\n")
	s.await(at, begins("d"))
	got, _ := s.text()
	for _, answer := range []string{"\ni OK ", "\nc NO [CANNOT] ", "\nd OK "} {
		if !strings.Contains("\n"+got[at:], answer) {
			t.Errorf("behind the rest of the line: %q", got[at:])
		}
	}
}

// However it is hidden, a forbidden command never reaches Dovecot, which offers COMPRESS: at worst the session ends.
func TestHiddenCommands(t *testing.T) {
	compressing.need(t)
	f := startFrontEnd(t, options{servers: compressing.behind(backend.TLSNone)})
	user := compressing.user(t, 1)
	for _, h := range hides() {
		for _, bad := range forbidden {
			for _, bytewise := range []bool{false, true} {
				for _, behindLogin := range []bool{false, true} {
					if bytewise && (behindLogin || len(h.parts[0]) > 1000) ||
						bad.command != "COMPRESS DEFLATE" && (bytewise || behindLogin) {
						continue // nothing that the others do not show, and slow
					}
					s := smuggler{address: f.plain, user: user, bytewise: bytewise, behindLogin: behindLogin,
						patience: h.patience()}
					said := s.smuggle(t, h.fill("c "+bad.command+"\r\n"))
					what := fmt.Sprintf("%s %s, byte by byte %v, behind LOGIN %v", bad.command, h.name, bytewise,
						behindLogin)
					early := behindLogin && len(h.parts) > 1 // the second part did not wait
					judge(t, what, h, said, bad.answer, early)
				}
			}
		}
	}
	getThrough(t, user)
}

// getThrough checks that many of the hides do get through where there is no Portico, or they would show nothing. Those
// that Dovecot does not answer in time are tried again with more of it, since a busy machine may need that.
func getThrough(t *testing.T, user string) {
	const enough = 60
	t.Helper()
	slipped, left := 0, hides()
	for patience := quiet; slipped < enough && patience < testkit.Patience; patience *= 4 {
		left = slices.DeleteFunc(left, func(h hide) bool {
			direct := smuggler{address: compressing.server.Plain, user: user, patience: patience}
			through := slipped < enough && compressed(direct.smuggle(t, h.fill("c COMPRESS DEFLATE\r\n")))
			if through {
				slipped++
			}
			return through
		})
	}
	if slipped < enough {
		t.Errorf("only %d of %d get through to Dovecot without Portico", slipped, len(hides()))
	}
}

// compressed says whether COMPRESS reached Dovecot. Dovecot 2.4 refuses it when more commands came in the same packet,
// as here.
func compressed(said string) bool {
	return strings.Contains(said, "Begin compression") || strings.Contains(said, "did not wait for COMPRESS reply")
}

// judge checks what a client was told that tried to hide a command. With early, what is wanted of the hide does not
// hold.
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
	doubted := strings.HasSuffix(said, "\n* BYE Protocol out of step, please connect again\r\n")
	switch {
	case compressed(said), strings.Contains(strings.ReplaceAll(said, "\nc OK NOOP completed", ""), "\nc OK"),
		strings.Contains(said, "Begin TLS"):
		t.Errorf("%s: it got through: %q", what, said)
	case early:
	case h.want == fateRefused && (!refused || !logout), h.want == fateData &&
		(strings.Contains(said, "\nc ") || !logout && !doubted):
		t.Errorf("%s: %q", what, said)
	}
}

// smuggler is a client that tries to get something past whoever listens at an address.
type smuggler struct {
	address     string
	user        string
	bytewise    bool          // in packets of one byte
	behindLogin bool          // all in the packet of the LOGIN
	patience    time.Duration // for the answer to LOGOUT
}

// quiet is how long a server that waits for the rest of a literal is given to say something.
const quiet = 300 * time.Millisecond

// patience is how long to wait for the answer to a LOGOUT behind the hide.
func (h hide) patience() time.Duration {
	if h.want == fateSafe {
		return quiet
	}
	return testkit.Patience
}

// smuggle signs in, sends the parts and a LOGOUT, and returns what the server said. A server that does not answer the
// LOGOUT in time is told that nothing more will come.
func (sm smuggler) smuggle(t *testing.T, parts []string) string {
	t.Helper()
	s := dialStream(t, sm.address, nil)
	defer s.Close()
	login := "l LOGIN " + sm.user + " " + password + "\r\n"
	last := len(parts) - 1
	parts[last] += strings.Repeat("z LOGOUT\r\n", 3) // a literal may take the first
	if sm.behindLogin {
		s.send(login + strings.Join(parts, ""))
	} else {
		s.send(login)
		at, _ := s.await(0, begins("l"))
		for i, part := range parts {
			if sm.bytewise {
				s.sendBytes(part)
			} else {
				s.send(part)
			}
			if i < last {
				at, _ = s.await(at, line(func(l string) bool {
					return strings.HasPrefix(l, "+") || strings.HasPrefix(l, "b ") || strings.HasPrefix(l, "* BAD")
				}))
			}
		}
	}
	s.awaitFor(sm.patience, 0, line(func(l string) bool { return compressed(l) || strings.HasPrefix(l, "z ") }))
	s.Conn.(interface{ CloseWrite() error }).CloseWrite()
	said, _ := s.rest()
	return said
}
