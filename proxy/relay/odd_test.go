package relay

import (
	"fmt"
	"testing"
)

// oddServerLines are what servers say that is no IMAP. None of it can start compression or sign anybody out.
var oddServerLines = []string{
	"\n", "\n\n", "␊", " \n", "\t\n", "\r\n", ")\n", " FLAGS (\\Seen))\n", "BODY[] NIL)\n", "[COPYUID 124 10 233]\n",
	"[ALERT] going down\n",
	" * 3 EXISTS\n", "\t* 3 EXISTS\n", "   * OK hi\n", "*3 EXISTS\n", "*\n", "* \n", "*  3 EXISTS\n", "**\n", "OK\n",
	"OK done\n", "NO\n", "BYE\n",
	"zz OK\n", "zz NO what\n", "zz BAD what\n", "zz BYE\n", "zz PREAUTH x\n", "zz\n", "zz \n", "zz FETCH 1\n",
	"zz OKAY\n", " zz OK\n", "\tzz OK\n",
	"OK zz done\n", "zz  OK\n", "zz\tOK\n", "(zz OK)\n", "\"zz\" OK\n", "{5}\n", "{5+}\n", "zz {5}\n",
	"Error: disk full\n", "HTTP/1.1 400 Bad Request\n",
	"220 ready ESMTP\n", "+OK POP3 ready\n", "+\n", "+ still here\n", "+still here\n", " + still here\n",
	"* BAD what\n", "* bad\n", "* NO [OVERQUOTA]\n",
	"* PREAUTH\n", "* OK [\n", "* OK ]\n", "* OK [CAPABILITY\n", "* OK [CAPABILITY]\n", "* CAPABILITYX\n",
	"* 1 FETCH\n", "* 1 FETCH (\n", "* FETCH\n",
	"* 99999999999999999999 EXISTS\n", "* -1 EXISTS\n", "* XYZZY\n", "* \"\n", "* {\n", "* {}\n", "* {x}\n", "* {5\n",
	"* 5}\n", "-\n", "--\n", "#\n", "; comment\n",
	"<html>\n", "?\n", "%\n", "\\\n", "~\n", "null\n", "undefined\n",
}

func TestOddLinesOfTheServerHarmNothing(t *testing.T) {
	for _, offers := range []Offers{OffersNone, OffersUnknown, OffersHidden} {
		var steps []step
		for i, line := range oddServerLines {
			tag := fmt.Sprintf("k%d", i)
			steps = append(steps, passes(serverSays, line)...)
			steps = append(steps, passes(clientSays, tag+" NOOP\n")...)
			steps = append(steps, passes(serverSays, tag+" OK\n")...)
		}
		// the relay continues to interpret
		steps = append(steps, says(clientSays, "c COMPRESS DEFLATE\n", clientHears, "c"+refusedCompress)...)
		playOnDesks(t, []script{{name: fmt.Sprint(offers), offers: offers, steps: steps}})
	}
}

// oddClientLines are what clients say that is no command, and cannot start compression or sign anybody out.
var oddClientLines = []string{
	"\n", "␊", " \n", "\t\n", " a NOOP\n", "\ta NOOP\n", "  a NOOP\n", "\r a NOOP\n", "* NOOP\n", "+ NOOP\n", "*\n",
	"+\n", "()\n", "(a NOOP)\n", "\"a\" NOOP\n",
	"{}\n", "{x} NOOP\n", "%\n", "% NOOP\n", "\\\n", "a+ NOOP\n", "+a NOOP\n", "a\tNOOP\n", "a\x00NOOP\n", "\x00\n",
	"\x00a NOOP\n",
	"\x01\x02\x03\n", "\x1b[A\n", "\x7f\n", "\xef\xbb\xbfa NOOP\n", "\xe9 NOOP\n", "é NOOP\n", "a \x00NOOP\n",
	"a \tNOOP\n", "NOOP\"\n", "(\n", ")\n", "))\n", "* OK hello\n",
	"* BYE\n", "* 1 EXISTS\n", "+ go on\n", "\"\n", "a\"b NOOP\n", "a(b) NOOP\n", "a{b} NOOP\n", "a%b NOOP\n",
	"a*b NOOP\n", "a\\b NOOP\n", "\\Seen\n", "* compressed\n",
	"(uncompressed)\n", "+ Decompress\n", "\x16\x03\x01 TLS\n", "\"GET\" / HTTP/1.1\n", "(compression)\n",
	"+ xUNAUTHENTICATE\n", "* UNAUTHENTICATED\n",
}

func TestOddLinesOfTheClientHarmNothing(t *testing.T) {
	for _, offers := range []Offers{OffersNone, OffersUnknown, OffersHidden} {
		for _, answer := range []string{"* BAD what\n", "zz BAD what\n", "zz OK fine\n", ""} {
			var steps []step
			for i, line := range oddClientLines {
				tag := fmt.Sprintf("k%d", i)
				steps = append(steps, passes(clientSays, line)...)
				steps = append(steps, passes(serverSays, answer)...)
				steps = append(steps, passes(clientSays, tag+" NOOP\n")...)
				steps = append(steps, passes(serverSays, tag+" OK\n")...)
			}
			steps = append(steps, says(clientSays, "c COMPRESS DEFLATE\n", clientHears, "c"+refusedCompress)...)
			playOnDesks(t,
				[]script{{name: fmt.Sprintf("%d, answered %q", offers, answer), offers: offers, steps: steps}})
		}
	}
}

func TestOddLinesThatMayStartCompressionEndTheSession(t *testing.T) {
	var scripts []script
	for _, line := range []string{
		" c COMPRESS DEFLATE\n", "\tc COMPRESS DEFLATE\n", "* COMPRESS DEFLATE\n", "+ COMPRESS DEFLATE\n",
		"(c COMPRESS DEFLATE)\n", "\"c\" \"COMPRESS\" \"DEFLATE\"\n",
		"c\tCOMPRESS DEFLATE\n", "c\rCOMPRESS DEFLATE\n", "\x00c COMPRESS DEFLATE\n",
		"\xef\xbb\xbfc COMPRESS DEFLATE\n", "{5} c compress deflate\n",
		" c UNAUTHENTICATE\n", "*UNAUTHENTICATE\n", "(UNAUTHENTICATE)\n", "c\tunauthenticate\n",
		"+ c UNAUTHENTICATE{1}\n", "(c\x00COMPRESS\n",
	} {
		for _, offers := range []Offers{OffersUnknown, OffersHidden} {
			scripts = append(scripts, script{name: line, offers: offers, ends: true,
				steps: []step{{clientSays, line}}})
		}
	}
	for _, sc := range scripts {
		for _, cut := range []func(string) []string{whole, bytewise} {
			d := newBareSession(sc.offers)
			for _, piece := range cut(crlf(sc.steps[0].text)) {
				d.say(clientSays, piece)
			}
			if !d.closed || d.reason != ReasonDoubt || d.client.String() != byeDoubt {
				t.Errorf("%q: ended %v for reason %v, the client hears %q", sc.name, d.closed, d.reason, &d.client)
			}
			if got := d.server.String(); len(got) > 0 && got[len(got)-1] == '\n' {
				t.Errorf("%q: the server hears %q", sc.name, got)
			}
		}
	}
}

func TestOddLinesWithLiterals(t *testing.T) {
	for _, offers := range []Offers{OffersNone, OffersHidden} {
		play(t, []script{
			{name: "allowed", offers: offers, steps: join(
				passes(clientSays, " a APPEND x {9}\n"), passes(serverSays, "+ go\n"),
				passes(clientSays, "b NOOP\nx\n"), passes(clientSays, "k NOOP\n"),
				passes(serverSays, "a OK\nk OK\n"))},
			{name: "refused", offers: offers, steps: join(
				passes(clientSays, " a APPEND x {9}\n"), passes(serverSays, "a BAD no\n"),
				passes(clientSays, "k NOOP\n"), passes(serverSays, "k OK\n"))},
			{name: "refused without a tag", offers: offers, steps: join(
				passes(clientSays, "* APPEND x {9}\n"), passes(serverSays, "* BAD no\n"),
				passes(clientSays, "k NOOP\n"), passes(serverSays, "k OK\n"))},
		})
	}
	const unasked = " a APPEND x {9+}\nb NOOP\nx\n"
	goesOn := join(passes(clientSays, "k NOOP\n"), passes(serverSays, "k OK\n"))
	play(t, []script{
		{name: "that come unasked", offers: OffersNone,
			steps: join(passes(clientSays, unasked), passes(serverSays, "a OK\n"), goesOn)},
		{name: "that come unasked, allowed", offers: OffersHidden, steps: join(
			says(clientSays, unasked, serverHears, " a APPEND x {9}\n"),
			says(serverSays, "+ go\n", serverHears, "b NOOP\nx\n"),
			passes(serverSays, "a OK\n"), goesOn)},
		{name: "that come unasked, refused", offers: OffersHidden, steps: join(
			says(clientSays, unasked, serverHears, " a APPEND x {9}\n"), passes(serverSays, "a BAD no\n"), goesOn)},
		{name: "that come unasked, refused without a tag", offers: OffersHidden, steps: join(
			says(clientSays, unasked, serverHears, " a APPEND x {9}\n"), passes(serverSays, "* BAD no\n"), goesOn)},
	})
}

// Servers say an untagged BAD of a line that they could not read.
func TestAnUntaggedBadEndsTheWait(t *testing.T) {
	goesOn := join(passes(clientSays, "k NOOP\n"), passes(serverSays, "k OK\n"),
		says(clientSays, "c COMPRESS DEFLATE\n", clientHears, "c"+refusedCompress))
	for _, offers := range []Offers{OffersNone, OffersHidden} {
		play(t, []script{
			{name: "for a literal", offers: offers, steps: join(
				passes(clientSays, "a APPEND x {170581193}\n"), passes(serverSays, "* BAD line too long\n"), goesOn)},
			{name: "for a literal, with more behind it", offers: offers, steps: join(
				says(clientSays, "a APPEND x {9}\nb NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "* BAD no\n", clientHears, "* BAD no\n", serverHears, "b NOOP\n"),
				passes(serverSays, "b OK\n"), goesOn)},
			{name: "for a second literal", offers: offers, steps: join(
				passes(clientSays, "a APPEND x {1}\n"), passes(serverSays, "+\n"), passes(clientSays, "x {5}\n"),
				passes(serverSays, "* BAD no\n"), goesOn)},
			{name: "for IDLE", offers: offers, steps: join(passes(clientSays, "]x IDLE\n"),
				passes(serverSays, "* BAD what\n"), goesOn)},
			{name: "for AUTHENTICATE", offers: offers, steps: join(passes(clientSays, "a AUTHENTICATE X\n"),
				passes(serverSays, "* BAD what\n"), goesOn)},
			{name: "for a command that is all sent", offers: offers,
				steps: join(passes(clientSays, "a] NOOP\n"), passes(serverSays, "* BAD what\n"), goesOn)},
			{name: "and the + comes all the same", offers: offers, steps: join(
				passes(clientSays, "* NOOP\n"), passes(clientSays, "a APPEND x {3}\n"),
				passes(serverSays, "* BAD what\n", "+\n"),
				passes(clientSays, "b \n\n"), passes(serverSays, "a OK\n"), goesOn)},
			{name: "and an answer", offers: offers, steps: join(
				passes(clientSays, "a APPEND x {3}\n"), passes(serverSays, "* BAD what\n", "a BAD no\n"), goesOn)},
			{name: "in IDLE", offers: offers, steps: join(
				passes(clientSays, "a IDLE\n"), passes(serverSays, "+\n", "* BAD what\n"),
				passes(clientSays, "DONE\n"), passes(serverSays, "a OK\n"), goesOn)},
		})
	}
}

func TestLogoutAnsweredByATaggedBye(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start()
		tk.client.say("a LOGOUT\n")
		tk.server.hears("a LOGOUT\n")
		tk.server.say("a BYE so long\n")
		tk.server.Close()
		tk.client.hears("a BYE so long\n")
		tk.client.hearsEnd()
		tk.client.Close()
		if e := tk.end(); e.Reason != ReasonLogout || e.Commands != 1 || e.Opaque {
			t.Errorf("ended with %+v", e)
		}
	})
}
