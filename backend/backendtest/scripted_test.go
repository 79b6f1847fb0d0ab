package backendtest_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

func TestScriptedDialogue(t *testing.T) {
	testkit.NoLeaks(t)
	s := testkit.Scripted(t, nil, `
		# tags come back in another order
		S: * OK hi
		C: ${tag} LOGIN * *
		split
		S: ${tag} OK done
		C: ${t1} NOOP
		C: ${t2} NOOP
		S: ${t2} OK second
		S: ${t1} OK first
		C: ${tag} APPEND INBOX {10}
		S: + go
		expect 12
		raw "* 1 FETCH (BODY[] {100}\r\n"
		send 100
		raw ")\r\n${tag} OK \x00\r\n"
		mark sent
		wait go
		answer-all`)
	c := testkit.Dial(t, s.Addr(), nil)
	c.Expect("* OK hi")
	c.Send("a LOGIN alice demo")
	c.Expect("a OK done")
	c.SendRaw("b NOOP\r\nc NOOP\r\n")
	c.Expect("c OK second")
	c.Expect("b OK first")
	c.Send("d APPEND INBOX {10}")
	c.Expect("+ go")
	c.SendRaw("0123456789\r\n")
	c.Expect("* 1 FETCH *{100}")
	if got := c.ReadN(100); !bytes.Equal(got, backendtest.Filler(100)) {
		t.Errorf("literal: %q", got)
	}
	c.Expect(")")
	c.Expect("d OK \x00")
	if err := s.Reached(testkit.Context(t), "sent"); err != nil {
		t.Error(err)
	}
	c.Send("e NOOP")
	s.Signal("go")
	c.Expect("e OK done")
	c.Send("f LOGOUT")
	c.Expect("* BYE")
	c.Expect("f OK done")
	c.ExpectEOF()
	if got := string(s.Received(1)); !strings.HasPrefix(got, "a LOGIN alice demo\r\nb NOOP\r\nc NOOP\r\nd APPEND") {
		t.Errorf("received: %q", got)
	}
	if got := s.Transcript(); !strings.Contains(got, "1 C: c NOOP\n1 S: c OK second\n") {
		t.Errorf("transcript:\n%s", got)
	}
}

func TestScriptedTLS(t *testing.T) {
	testkit.NoLeaks(t)
	server, client := testkit.TLS(t)
	s := testkit.Scripted(t, server,
		"S: * OK hi\nstarttls\nC: ${tag} NOOP\nS: ${tag} OK\nhalf-close\nC: bye\neof",
		"tls\nS: * PREAUTH hi",
		"S: * OK hi\nstarttls \"* OK early\\r\\n\"")

	c := testkit.Dial(t, s.Addr(), nil)
	c.Expect("* OK hi")
	c.Send("a STARTTLS")
	c.Expect("a OK *")
	c.StartTLS(client)
	c.Send("b NOOP")
	c.Expect("b OK")
	c.ExpectEOF()
	c.Send("bye")
	c.Close()

	c = testkit.Dial(t, s.Addr(), client)
	c.Expect("* PREAUTH hi")

	c = testkit.Dial(t, s.Addr(), nil)
	c.Expect("* OK hi")
	c.SendRaw("a STARTTLS\r\n")
	c.Expect("a OK *")
	c.Expect("* OK early")
	c.StartTLS(client)
	if s.Conns() != 3 {
		t.Errorf("connections: %d, want 3", s.Conns())
	}
}

func TestScriptedFaults(t *testing.T) {
	testkit.NoLeaks(t)
	short := 50 * time.Millisecond
	tests := []struct {
		name, script string
		check        func(*testing.T, *testkit.Conn)
	}{
		{"hang before greeting", "silent", func(t *testing.T, c *testkit.Conn) {
			c.Send("a NOOP")
			c.ExpectSilence(short)
		}},
		{"stall", "stall", func(t *testing.T, c *testkit.Conn) {
			chunk := make([]byte, 1<<20)
			c.NetConn().SetWriteDeadline(time.Now().Add(time.Second))
			var err error
			for range 64 {
				if _, err = c.NetConn().Write(chunk); err != nil {
					break
				}
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write to a stalled server: %v", err)
			}
		}},
		{"close", "S: * OK hi\nclose", func(t *testing.T, c *testkit.Conn) {
			c.Expect("* OK hi")
			c.ExpectEOF()
		}},
		{"reset", "S: * OK hi\nC: a NOOP\nreset", func(t *testing.T, c *testkit.Conn) {
			c.Expect("* OK hi")
			c.Send("a NOOP")
			if _, err := c.NetConn().Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v, want a reset", err)
			}
		}},
		{"end with unread input", "S: * OK hi\nC: a NOOP\nS: a OK", func(t *testing.T, c *testkit.Conn) {
			c.Expect("* OK hi")
			c.SendRaw("a NOOP\r\nb NOOP\r\n")
			c.Expect("a OK")
			c.ExpectEOF()
		}},
		{"sleep", "sleep 20ms\nS: * OK late", func(t *testing.T, c *testkit.Conn) { c.Expect("* OK late") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testkit.Scripted(t, nil, tt.script)
			tt.check(t, testkit.Dial(t, s.Addr(), nil))
		})
	}
}

func TestScriptedReportsDepartures(t *testing.T) {
	testkit.NoLeaks(t)
	tests := []struct{ name, script, send, want string }{
		{"other line", "S: * OK\n\nC: ${tag} NOOP", "a LOGOUT\r\n",
			`connection 1: script line 3: want "${tag} NOOP", got "a LOGOUT"`},
		{"other word", "S: * OK\nC: ${t} A\nC: ${t} B", "x A\r\ny B\r\n", `script line 3: want "${t} B", got "y B"`},
		{"client gone", "S: * OK\nC: ${tag} NOOP", "a NO", `script line 2: want "${tag} NOOP", got "a NO" and EOF`},
		{"no end", "S: * OK\neof", "more", `want the end of the connection, got "more"`},
		{"never captured", "S: * OK\nC: go\nS: ${x} OK", "go\r\n", `nothing was captured as ${x}`},
		{"behind STARTTLS", "S: * OK\nstarttls", "a STARTTLS\r\nb NOOP\r\n",
			`plain bytes behind STARTTLS: "b NOOP\r\n"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := backendtest.StartScripted(testkit.Listen(t), nil, tt.script)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c := testkit.Dial(t, s.Addr(), nil)
			c.Expect("* OK")
			c.SendRaw(tt.send)
			c.NetConn().(*net.TCPConn).CloseWrite()
			testkit.Eventually(t, "the departure is reported", func() bool { return s.Err() != nil })
			if err := s.Err(); !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestScriptErrors(t *testing.T) {
	for _, text := range []string{"dance", "raw no quotes", "sleep soon", "send -1", "mark", "close now",
		`starttls "`} {
		if _, err := backendtest.StartScripted(testkit.Listen(t), nil, "S: hi\n"+text); err == nil {
			t.Errorf("script %q was taken", text)
		} else if !strings.Contains(err.Error(), "script line 2") {
			t.Errorf("script %q: %v names no line", text, err)
		}
	}
}

func TestBlackhole(t *testing.T) {
	testkit.NoLeaks(t)
	b, err := backendtest.StartBlackhole()
	if errors.Is(err, errors.ErrUnsupported) {
		testkit.Lack(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	conn, err := net.DialTimeout("tcp", b.Addr(), 200*time.Millisecond)
	if err == nil {
		conn.Close()
	}
	var netErr net.Error
	if !errors.As(err, &netErr) || !netErr.Timeout() {
		t.Errorf("dial: %v, want a time-out", err)
	}
}
