package proxy

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"portico/proxy/wire"
)

// Each row is what a broken or hostile client sends behind the greeting, what it is told, and how that is counted.
func TestBadInput(t *testing.T) {
	tests := []struct {
		name    string
		mode    TLSMode
		send    string
		told    string // all that comes until the connection is closed
		refused map[Outcome]float64
		ends    Outcome
	}{
		{name: "http", send: "GET / HTTP/1.1\r\nHost: mail\r\n\r\n",
			told: "* BYE This is not a web server.\r\n", ends: OutcomeHTTP},
		{name: "http with commands in its body", send: "POST / HTTP/1.1\r\n\r\na LOGIN u p\r\n",
			told: "* BYE This is not a web server.\r\n", ends: OutcomeHTTP},
		{name: "http method as tag", send: "GET NOOP\r\nPUT LOGOUT\r\n",
			told: "GET OK NOOP completed.\r\n* BYE Logging out.\r\nPUT OK LOGOUT completed.\r\n", ends: OutcomeLogout},
		{name: "tls on plain port", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
			told: "* BYE This port does not start with TLS.\r\n", ends: OutcomeTLSOnPlain},
		{name: "plain on tls port", mode: TLSImplicit, send: "a CAPABILITY\r\n",
			told: "* BYE This port requires TLS.\r\n", ends: OutcomePlainOnTLS},
		{name: "http on tls port", mode: TLSImplicit, send: "GET / HTTP/1.1\r\n\r\n",
			told: "* BYE This port requires TLS.\r\n", ends: OutcomePlainOnTLS},
		{name: "noise", send: strings.Repeat("\x00\xff\x80\r\n", 3),
			told: "* BAD Syntax error.\r\n* BAD Syntax error.\r\n* BAD Syntax error.\r\n* BYE Too many bad " +
				"commands.\r\n",
			refused: map[Outcome]float64{OutcomeSyntax: 3}, ends: OutcomeTooManyBad},
		{name: "endless line", send: "a NOOP" + strings.Repeat(" x", 4096),
			told: "* BYE [LIMIT] Command too long.\r\n", ends: OutcomeTooLong},
		{name: "endless line without a tag", send: strings.Repeat("x", 8192),
			told: "* BYE [LIMIT] Command too long.\r\n", ends: OutcomeTooLong},
		{name: "endless literal", send: "a LOGIN {999999999}\r\n",
			told: "* BYE [LIMIT] Command too long.\r\n", ends: OutcomeTooLong},
		{name: "endless literal unasked", send: "a LOGIN {999999999+}\r\n" + strings.Repeat("x", 8192),
			told: "* BYE [LIMIT] Command too long.\r\n", ends: OutcomeTooLong},
		{name: "endless sasl response", send: "a AUTHENTICATE PLAIN\r\n" + strings.Repeat("QUFB", 4096),
			told: "+ \r\n* BYE [LIMIT] Command too long.\r\n", ends: OutcomeTooLong},
		{name: "many literals",
			send: strings.Repeat("a LOGIN {1000+}\r\n"+strings.Repeat("x", 1000)+" {1000+}\r\n"+
				strings.Repeat("x", 1000), 1),
			told: "* BYE [LIMIT] Command too long.\r\n", ends: OutcomeTooLong},
		{name: "not before sign-in", send: "a SELECT INBOX\r\nb UID FETCH 1 ALL\r\nc XYZZY\r\n",
			told: "a BAD Command not valid before sign-in.\r\nb BAD Unknown command.\r\nc BAD Unknown command.\r\n" +
				"* BYE Too many bad commands.\r\n",
			refused: map[Outcome]float64{OutcomeNotBefore: 1, OutcomeUnknownCommand: 2}, ends: OutcomeTooManyBad},
		{name: "bad arguments", send: "a LOGIN bob\r\nb LOGIN\r\nc ID bob\r\n",
			told: "a BAD Syntax error.\r\nb BAD Syntax error.\r\nc BAD Syntax error.\r\n* BYE Too many bad " +
				"commands.\r\n",
			refused: map[Outcome]float64{OutcomeSyntax: 3}, ends: OutcomeTooManyBad},
		{name: "bad base64", send: "a AUTHENTICATE PLAIN\r\n!!!\r\nb AUTHENTICATE PLAIN !!!\r\nc LOGOUT\r\n",
			told: "+ \r\na BAD Invalid response to the challenge.\r\nb BAD Invalid response to the challenge.\r\n" +
				"* BYE Logging out.\r\nc OK LOGOUT completed.\r\n",
			refused: map[Outcome]float64{OutcomeBase64: 2}, ends: OutcomeLogout},
		{name: "cancelled", send: "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE LOGIN Ym9i\r\n*\r\nc LOGOUT\r\n",
			told: "+ \r\na BAD Authentication cancelled.\r\n+ UGFzc3dvcmQ6\r\nb BAD Authentication cancelled.\r\n" +
				"* BYE Logging out.\r\nc OK LOGOUT completed.\r\n",
			refused: map[Outcome]float64{OutcomeCancelled: 2}, ends: OutcomeLogout},
		{name: "a password with NUL", send: "a AUTHENTICATE PLAIN AGJvYgBzZWMAcmV0\r\nb LOGOUT\r\n",
			told: "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n* BYE Logging out.\r\nb OK LOGOUT " +
				"completed.\r\n",
			refused: map[Outcome]float64{OutcomeBadSASL: 1}, ends: OutcomeLogout},
		{name: "enable before sign-in", send: "a ENABLE CONDSTORE\r\nb LOGOUT\r\n",
			told: "* ENABLED\r\na OK ENABLE has no effect before sign-in.\r\n* BYE Logging out.\r\nb OK LOGOUT " +
				"completed.\r\n",
			ends: OutcomeLogout},
		{name: "plain without its fields", send: "a AUTHENTICATE PLAIN =\r\nb AUTHENTICATE PLAIN Ym9i\r\nc LOGOUT\r\n",
			told: "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\nb NO [AUTHENTICATIONFAILED] Authentication " +
				"failed.\r\n" +
				"* BYE Logging out.\r\nc OK LOGOUT completed.\r\n",
			refused: map[Outcome]float64{OutcomeBadSASL: 2}, ends: OutcomeLogout},
		{name: "unknown mechanism", send: "a AUTHENTICATE NTLM\r\nb LOGOUT\r\n",
			told: "a NO [CANNOT] Authentication mechanism not available.\r\n* BYE Logging out.\r\nb OK LOGOUT " +
				"completed.\r\n",
			refused: map[Outcome]float64{OutcomeNoMechanism: 1}, ends: OutcomeLogout},
		{name: "starttls where there is none", send: "a STARTTLS\r\nb LOGOUT\r\n",
			told:    "a BAD STARTTLS is not available.\r\n* BYE Logging out.\r\nb OK LOGOUT completed.\r\n",
			refused: map[Outcome]float64{OutcomeNoStartTLS: 1}, ends: OutcomeLogout},
		{name: "silent", told: "* BYE Sign-in took too long.\r\n", ends: OutcomeTimeout},
		{name: "silent in a command", send: "a LOGIN b", told: "* BYE Sign-in took too long.\r\n",
			ends: OutcomeTimeout},
		{name: "silent in a literal", send: "a LOGIN {3}\r\n", told: "+ Ready.\r\n* BYE Sign-in took too long.\r\n",
			ends: OutcomeTimeout},
		{name: "silent on tls port", mode: TLSImplicit, told: "", ends: OutcomeTimeout},
		{name: "impossible names",
			send: "a LOGIN \"\" secret\r\nb LOGIN \"b\x01b\" secret\r\nc LOGIN \"bob*master\" secret\r\n",
			told: "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\nb NO [AUTHENTICATIONFAILED] Authentication " +
				"failed.\r\n" +
				"c NO [AUTHENTICATIONFAILED] Authentication failed.\r\n* BYE Too many failed sign-ins.\r\n",
			refused: map[Outcome]float64{OutcomeBadUser: 3}, ends: OutcomeTooManyFailed},
		{name: "impossible names of those who act for another", // bob's mailbox, as al*master and as al<CR>ice
			send: "a AUTHENTICATE PLAIN Ym9iAGFsKm1hc3RlcgBzZWNyZXQ=\r\nb AUTHENTICATE PLAIN " +
				"Ym9iAGFsDWljZQBzZWNyZXQ=\r\nc LOGOUT\r\n",
			told: "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\nb NO [AUTHENTICATIONFAILED] Authentication " +
				"failed.\r\n" +
				"* BYE Logging out.\r\nc OK LOGOUT completed.\r\n",
			refused: map[Outcome]float64{OutcomeBadUser: 2}, ends: OutcomeLogout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, test.mode, func(o *Options) {
				o.Settings.Limits.BadCommands = 3
				o.Settings.Limits.Commands = wire.Limits{Line: 2048, Literal: 1024, Command: 1900, SASL: 4096}
				if strings.HasPrefix(test.name, "silent") {
					o.Settings.Timeouts.Idle = 500 * time.Millisecond
					o.Settings.Timeouts.Handshake = 500 * time.Millisecond
				}
			})
			p := h.dial()
			if test.mode != TLSImplicit {
				p.expect("* OK [CAPABILITY ")
			}
			p.send(test.send)
			if got := p.rest(); got != test.told {
				t.Errorf("told\n%s\nwant\n%s", got, test.told)
			}
			for o, want := range test.refused {
				if got := h.refused(o); got != want {
					t.Errorf("%v counted %v times, want %v", o, got, want)
				}
			}
			if got := h.ended(test.ends); got != 1 {
				t.Errorf("%v counted %v times; log:\n%s", test.ends, got, h.log)
			}
		})
	}
}

// Time as a whole is bounded too: a client that says a little now and then does not stay.
func TestSetUpEndsForTalkativeClient(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) { o.Settings.Timeouts.SetUp = 500 * time.Millisecond })
	p := h.client()
	for range 1000 {
		p.send("a NOOP\r\n")
		if strings.HasPrefix(p.expect(""), "* BYE Sign-in took too long") {
			if h.ended(OutcomeTimeout) != 1 {
				t.Error("not counted as a time-out")
			}
			return
		}
		time.Sleep(time.Millisecond) // the client's leisure
	}
	t.Fatal("still there")
}

// What came in plain text behind STARTTLS may have been put there by somebody else.
func TestStartTLSDropsWhatIsPipelined(t *testing.T) {
	h := start(t, TLSStartTLS, func(o *Options) { o.Settings.LoginType = SecureLogin })
	p := h.client()
	p.send("a STARTTLS\r\nb NOOP\r\nc LOGIN eve secret\r\n")
	p.expect("a OK ")
	secure := newPeer(t, tls.Client(p.Conn, h.roots))
	secure.send("d NOOP\r\n")
	secure.expect("d OK ")
	secure.send("e STARTTLS\r\nf LOGOUT\r\n")
	secure.expect("e BAD ")
	secure.expect("* BYE ")
	secure.expect("f OK ")
}

func TestFailedHandshakeIsCounted(t *testing.T) {
	h := start(t, TLSImplicit, nil)
	p := h.dial()
	if err := tls.Client(p.Conn, &tls.Config{ServerName: "elsewhere"}).Handshake(); err == nil {
		t.Fatal("the client trusts anybody")
	}
	io.Copy(io.Discard, p.Conn) // until the server has closed
	if got := h.ended(OutcomeTLSHandshake); got != 1 {
		t.Errorf("counted %v times; log:\n%s", got, h.log)
	}
}

// A client that is still sending when it is told goodbye must be able to read that, so it is not reset at once.
func TestLastWordsAreNotCutOff(t *testing.T) {
	h := start(t, TLSNone, nil)
	p := h.client()
	p.send("GET / HTTP/1.1\r\n")
	p.rest()
	for range 10 {
		p.send("Accept: everything\r\n")
	}
}
