package relay

import (
	"strings"
	"testing"
)

func TestInDoubtASessionGoesOnOpaque(t *testing.T) {
	after := passes(clientSays, "c COMPRESS DEFLATE\n(\nd IDLE\ne NOOP\n")
	play(t, []script{
		{name: "a server that sends no text", offers: OffersNone, opaque: true, steps: join(
			passes(clientSays, "a NOOP\nb APPEND x {5}\n"),
			passes(serverSays, "* 1 EXISTS\n\x16\x03\x01\n\n* 2 EXISTS\n"), after)},
		{name: "8-bit", offers: OffersNone, opaque: true,
			steps: join(passes(serverSays, "\xec\x05\x00\n", "a OK\n"), after)},
	})
}

// Compressed data that goes on never begins with such a byte.
func TestAServerMayBeginALineWithAnOddByte(t *testing.T) {
	for _, line := range []string{"\xef\xbb\xbf* OK hello\n", "\xff\n", "\aring\n", "\x1b[1mbold\n", "\x01\n",
		"\xc3\xa4\n"} {
		for _, offers := range []Offers{OffersNone, OffersHidden, OffersUnknown} {
			play(t, []script{{name: line, offers: offers,
				steps: join(passes(serverSays, line), passes(clientSays, "a APPEND x {5}\n"),
					passes(serverSays, "+\n"), passes(clientSays, "abcde\n"), passes(serverSays, "a OK\n"),
					says(clientSays, "c COMPRESS DEFLATE\n", clientHears, "c"+refusedCompress))}})
		}
	}
}

func TestAnswerToACommandThatWasNotPassedOn(t *testing.T) {
	d := newBareSession(OffersNone)
	d.say(clientSays, "a COMPRESS {9+}\r\n")
	d.say(serverSays, "a OK\r\n")
	d.say(clientSays, "123456789\r\nb NOOP\r\n")
	d.hears(t, clientHears, "a OK\r\n")
	d.hears(t, serverHears, "123456789\r\nb NOOP\r\n")
	if !d.opaque {
		t.Error("still interpreted")
	}
}

func TestInDoubtASessionEndsWhereSomethingMightSlipPast(t *testing.T) {
	for _, offers := range []Offers{OffersHidden, OffersUnknown} {
		play(t, []script{
			{name: "a server that sends no text", offers: offers, ends: true, queued: 1, steps: join(
				passes(clientSays, "a NOOP\n"),
				says(serverSays, "* 1 EXISTS\n\xec\x05\n", clientHears, "* 1 EXISTS\n"+lfs(byeDoubt)))},
		})
	}
}

// unasked are commands that a server might find in a literal where this proxy sees none: servers disagree about what a
// literal is. rest is what stands behind the command.
var unasked = []struct{ name, commands, rest string }{
	{"not waited for", "a NOOP {8+}\nb COMPRESS DEFLATE\n", ""},
	{"as long as the command", "a NOOP {20+}\nb COMPRESS DEFLATE\n\n", ""},
	{"of no bytes", "a NOOP {0+}\nb COMPRESS DEFLATE\n", ""},
	{"with a tilde", "a NOOP ~{8+}\nb COMPRESS DEFLATE\n", ""},
	{"under a tag that comes again", "a NOOP {20+}\nc COMPRESS DEFLATE\n\nc NOOP\n", "c NOOP\n"},
	{"half of it", "a NOOP {6+}\nc COMPRESS DEFLATE\nc NOOP\n", "c NOOP\n"},
	{"in a message behind a bad flag", "a APPEND x (\\Bad) {20+}\nb COMPRESS DEFLATE\n\n", ""},
	{"behind DONE for IDLE", "a IDLE {26+}\nDONE\nc COMPRESS DEFLATE\n\nc NOOP\n", "c NOOP\n"},
	{"of an unknown verb", "a XYZZY {20+}\nb COMPRESS DEFLATE\n\n", ""},
	{"of REPLACE", "a REPLACE 1 x (\\Seen) {20+}\nb COMPRESS DEFLATE\n\n", ""},
	{"behind LF", "a NOOP {8+}␊b COMPRESS DEFLATE\n", ""},
	{"signing out", "a NOOP {8+}\nb UNAUTHENTICATE\n", ""},
	{"two of them", "a XYZZY {20+}\nb COMPRESS DEFLATE\n {3+}\nabc\n", ""},
}

// A server that may take a literal for commands is asked, and gets it only if it says "+".
func TestAServerIsAskedAboutADoubtfulLiteral(t *testing.T) {
	goesOn := join(passes(clientSays, "k NOOP\n"), passes(serverSays, "k OK\n"),
		asks("l APPEND x {20}\n+b COMPRESS DEFLATE\n\n"), passes(serverSays, "l OK\n"))
	for _, h := range unasked {
		marker, behind, _ := strings.Cut(h.commands, "+}")
		end := "}\n"
		if strings.HasPrefix(behind, "␊") {
			end = "}␊"
		}
		for _, answer := range []string{"a OK\n", "a NO no\n", "* BAD no\n"} {
			answered := says(serverSays, answer, clientHears, answer)
			var rest []step
			if h.rest != "" {
				answered = append(answered, step{serverHears, h.rest})
				rest = passes(serverSays, "c OK\n")
			}
			if strings.HasPrefix(answer, "*") { // the "+" may still come
				rest = join(rest, passes(clientSays, "j NOOP\n"), passes(serverSays, "j OK\n"))
			}
			playOnDesks(t, []script{{name: h.name + ", " + answer, offers: OffersHidden, steps: join(
				says(clientSays, h.commands, serverHears, marker+end), answered, rest, goesOn)}})
		}
	}
	mail := "b COMPRESS DEFLATE\n\n"
	for _, head := range []string{"a XYZZY %s\n", "a REPLACE 1 x %s\n", "a UID REPLACE 1 x (\\Seen) %s\n",
		"a APPEND Entw\u00fcrfe %s\n", "a APPEND x (f\u00fcr) %s\n",
		"a  APPEND x %s\n", "a APPEND x (\\*) %s\n", "a SEARCH KEYWORD TEXT %s\n", "a EXAMINE {1+}\nx %s\n",
		"a APPEND x %s␊"} {
		first, behind, two := strings.Cut(head, "{1+}\nx")
		if !two {
			first, behind = "", head
		}
		if two {
			first += "{1+}\nx"
		}
		asked := strings.Replace(behind, "%s", "{20}", 1)
		playOnDesks(t, []script{{name: head, offers: OffersHidden, steps: join(
			says(clientSays, first+strings.Replace(behind, "%s", "{20+}", 1)+mail, serverHears, first+asked),
			says(serverSays, "* 1 EXISTS\n+ go\n", clientHears, "* 1 EXISTS\n", serverHears, mail),
			passes(serverSays, "a OK\n"), goesOn)}})
	}
}

// While a command with an unknown verb is open, a "+" may be meant for that: the client gets it, and the literal is
// read.
func TestAPlusThatMayBeMeantForAnother(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		for last, harmless := range map[string]bool{"b CAPABILITY FOR ALL\n": true, "b COMPRESS DEFLATE\n": false} {
			tk := r.start(func(s *Session) { s.Offers = OffersHidden })
			tk.client.say("k XIDLE\n")
			tk.server.hears("k XIDLE\n")
			tk.client.say("a XYZZY {20+}\n")
			tk.server.hears("a XYZZY {20}\n")
			tk.server.say("+ idling\n")
			tk.client.hears("+ idling\n")
			tk.client.say(last)
			if harmless {
				tk.server.hears(last)
				tk.server.say("k OK\na OK\n")
				tk.client.hears("k OK\na OK\n")
				tk.client.Close()
				tk.end()
				continue
			}
			tk.client.hears(lfs(byeDoubt))
			if rest, _ := tk.server.rest(); strings.Contains(rest, "DEFLATE") {
				t.Errorf("the server hears %q", rest)
			}
			tk.client.Close()
			if e := tk.end(); e.Reason != ReasonDoubt {
				t.Errorf("ended with %+v", e)
			}
		}
	})
}

// hidden are commands that a server may run from what it has said "+" to. Where a step is empty the server says "+".
var hidden = map[string][]string{
	"behind IDLE":                       {"a IDLE {26}\n", "", "DONE\nc COMPRESS DEFLATE\nc NOOP\n"},
	"behind IDLE, unasked":              {"a IDLE {26+}\n", "", "DONE\nc COMPRESS DEFLATE\nc NOOP\n"},
	"in place of DONE":                  {"a IDLE\n", "", "c COMPRESS DEFLATE\n"},
	"in place of a SASL response":       {"a AUTHENTICATE X\n", "", "c COMPRESS DEFLATE\n"},
	"in a literal that NOOP may have":   {"a NOOP {20}\n", "", "b COMPRESS DEFLATE\n\n"},
	"in one of a second list of APPEND": {"a APPEND x (\\Seen) (\\Draft) {20+}\nb COMPRESS DEFLATE\n\n"},
	"in one of a word in APPEND":        {"a APPEND x y {20+}\nb COMPRESS DEFLATE\n\n"},
	"signing out there":                 {"a APPEND x UTF8 (~{20+}\nb UNAUTHENTICATE\n  )\n"},
}

func TestNothingHidesBehindALiteralTrueOrFalse(t *testing.T) {
	for name, steps := range hidden {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, r *rig) {
				tk := r.start(func(s *Session) { s.Offers = OffersHidden })
				for _, step := range steps {
					if step != "" {
						tk.client.say(step)
						continue
					}
					tk.server.hears(strings.Replace(steps[0], "+}", "}", 1))
					tk.server.say("+\n")
					if !strings.Contains(steps[0], "+}") {
						tk.client.hears("+\n")
					}
				}
				tk.client.hears(lfs(byeDoubt))
				if rest, _ := tk.server.rest(); strings.Contains(rest, "DEFLATE") ||
					strings.Contains(rest, "UNAUTHENTICATE\r") {
					t.Errorf("the server hears %q", rest)
				}
				tk.client.Close()
				if e := tk.end(); e.Reason != ReasonDoubt {
					t.Errorf("ended with %+v", e)
				}
			})
		})
	}
}

func TestWhatIsALiteralForNobodyHidesNothing(t *testing.T) {
	caught := func(name, commands, server string) script {
		return script{name: name, offers: OffersHidden, queued: 1, steps: says(
			clientSays, commands, serverHears, server, clientHears, "b"+refusedCompress)}
	}
	play(t, []script{
		{name: "waited for", offers: OffersHidden, steps: join(
			says(clientSays, "a NOOP {8}\nb COMPRESS DEFLATE\n", serverHears, "a NOOP {8}\n"),
			says(serverSays, "a OK\n", clientHears, "a OK\nb"+refusedCompress))},
		caught("too large a number", "a NOOP {9223372036854775808+}\nb COMPRESS DEFLATE\n",
			"a NOOP {9223372036854775808+}\n"),
		caught("a blank behind", "a NOOP {8+} \nb COMPRESS DEFLATE\n", "a NOOP {8+} \n"),
		caught("quoted", "a NOOP \"{8+}\"\nb COMPRESS DEFLATE\n", "a NOOP \"{8+}\"\n"),
		caught("two signs", "a NOOP {8++}\nb COMPRESS DEFLATE\n", "a NOOP {8++}\n"),
	})
}

func TestNobodyIsSignedInASecondTime(t *testing.T) {
	play(t, []script{
		{name: "where that may be", offers: OffersHidden, ends: true, queued: 1, steps: join(
			passes(clientSays, "a LOGIN x y\n"), says(serverSays, "a OK in\n", clientHears, lfs(byeDoubt)))},
		{name: "where it is refused", offers: OffersHidden, steps: join(
			passes(clientSays, "a LOGIN x y\n"), passes(serverSays, "a BAD no\n"))},
	})
}
