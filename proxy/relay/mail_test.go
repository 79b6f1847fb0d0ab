package relay

import (
	"fmt"
	"strings"
	"testing"

	"portico/proxy/wire"
)

// mails are what a mail may say. For a server that took it for commands, each would be one that must not reach it.
var mails = []string{
	"Please compress \"photos.zip\" before you send it.\n", "Now UNAUTHENTICATE!\n", "Accepted: compress deflate gzip\n", "I compress ~40% better.\n",
	"x COMPRESS DEFLATE\n", "x UNAUTHENTICATE\n", "Subject: hi\n\nx COMPRESS DEFLATE\ny LOGIN a b\n",
}

// Mail is never refused for what it says, where the mailbox server offers COMPRESS.
func TestMailPassesWhateverItSays(t *testing.T) {
	selected := join(passes(clientSays, "s SELECT x\n"), passes(serverSays, "s OK\n"))
	heads := []struct {
		before []step
		head   string // %s is the marker
		tail   string
	}{
		{nil, "a APPEND x %s\n", "\n"},
		{nil, "a APPEND \"a b\" (\\Seen $Label) \"17-Jul-1996 02:44:25 -0700\" %s\n", "\n"},
		{nil, "a append x () \" 7-Jul-1996 02:44:25 +0000\" %s\n", " (\\Flagged) {1+}\nx\n"},
		{nil, "a APPEND x {1+}\nx (\\Seen) %s\n", "\n"},
		{nil, "a APPEND \"Entw&APw-rfe &- x\" %s\n", "\n"},
		{nil, "a APPEND x ~%s\n", "\n"},
		{nil, "a APPEND x CATENATE (TEXT %s\n", " URL \"/x/;uid=1\" TEXT {1+}\nx)\n"},
		{nil, "a APPEND x CATENATE (URL {1+}\nx TEXT %s\n", ")\n"},
		{nil, "a SELECT %s\n", "\n"}, {nil, "a RENAME x %s\n", "\n"}, {nil, "a LIST \"\" %s\n", "\n"}, {nil, "a STATUS %s\n", " (MESSAGES)\n"},
		{selected, "a SEARCH TEXT %s\n", "\n"}, {selected, "a UID SEARCH 1:* (OR HEADER x %s\n", " ALL)\n"}, {selected, "a COPY 1:* %s\n", "\n"},
		{selected, "a SORT (DATE) UTF-8 SUBJECT %s\n", "\n"}, {selected, "a UID THREAD REFERENCES UTF-8 BODY %s\n", "\n"},
	}
	var scripts []script
	for _, h := range heads {
		for _, mail := range mails {
			end := join(passes(clientSays, mail+h.tail), passes(serverSays, "a OK\n"), says(clientSays, "c COMPRESS DEFLATE\n", clientHears, "c"+refusedCompress))
			scripts = append(scripts,
				script{name: h.head + mail, offers: OffersHidden, steps: join(h.before,
					passes(clientSays, fmt.Sprintf(h.head, "{"+lengthOf(mail)+"+}")), end)},
				script{name: h.head + mail + "asked", offers: OffersHidden, steps: join(h.before,
					passes(clientSays, fmt.Sprintf(h.head, "{"+lengthOf(mail)+"}")), passes(serverSays, "+ go\n"), end)})
		}
	}
	playOnDesks(t, scripts)
	for _, mail := range mails { // where any verb may have been meant, the server's "+" decides
		play(t, []script{{name: "an unknown verb, " + mail, offers: OffersHidden, steps: join(
			passes(clientSays, "a SETMETADATA x (/private/comment {"+lengthOf(mail)+"}\n"), passes(serverSays, "+ go\n"), passes(clientSays, mail+")\n"),
			passes(serverSays, "a OK\n"))}})
	}
}

// Where servers may read a command in different ways, what may be a command for one of them does not reach it.
func TestADoubtfulLiteralIsRead(t *testing.T) {
	const command = "b COMPRESS DEFLATE\n"
	marker := "{" + lengthOf(command) + "+}"
	allowed := func(head string) []step {
		return join(passes(clientSays, fmt.Sprintf(head, "{"+lengthOf(command)+"}")), passes(serverSays, "+\n"))
	}
	heads := []string{
		"a NOOP %s\n", "a CHECK %s\n", "a LOGOUT %s\n", "a IDLE %s\n", "a XYZZY %s\n", "a SETMETADATA x %s\n", "a SEARCH TEXT %s\n", "a COPY 1 %s\n", "a FETCH 1 BODY[%s\n",
		"a] APPEND x %s\n", "[a APPEND x %s\n", "a  APPEND x %s\n", "a APPEND  x %s\n", "a APPEND x  %s\n", "a APPEND \"x %s\n", "a APPEND x (\\Seen %s\n",
		"a APPEND x (\\Bad) %s\n", "a APPEND x (\\Recent) %s\n", "a APPEND x (\"x\") %s\n", "a APPEND x \"31-Feb-2020 00:00:00 +0000\" %s\n", "a APPEND x \"today\" %s\n",
		"a APPEND x (\\Seen) (\\Seen) %s\n", "a APPEND x y %s\n", "a APPEND x CATENATE %s\n", "a APPEND x CATENATE (%s\n", "a APPEND x CATENATE (URL x BAD %s\n",
		"a APPEND x\t%s\n", "a APPEND x %s␊", "a APPEND x 0%s\n", "a APPEND x\" %s\n", "a APPEND x {1+}\nx  %s\n", "a APPEND x {1+}\nx(%s\n", "a LOGIN %s\n", "a ID (%s\n",
		"a APPEND \"\" %s\n", "a APPEND &bad- %s\n", "a APPEND &AGE- %s\n", "a APPEND x& %s\n", "a APPEND &2AA- %s\n", "a APPEND &APx- %s\n", "a APPEND {1+}\nx %s\n",
		"a APPEND " + strings.Repeat("x", 65) + " %s\n", "a APPEND x (" + strings.Repeat("k", 33) + ") %s\n",
		"a SELECT x %s\n", "a STORE 1 FLAGS %s\n", "a UID %s\n", "a %s\n", "a CREATE (%s\n",
	}
	for _, head := range heads {
		d := newDesk(OffersHidden)
		d.say(clientSays, crlf(fmt.Sprintf(head, marker)+command+"\n"))
		if !d.closed || d.reason != ReasonDoubt {
			t.Errorf("%q: the server hears %q", head, &d.server)
		}
	}
	for _, head := range []string{"a APPEND x %s\n", "a APPEND x CATENATE (TEXT %s\n", "a APPEND x {1+}\nx %s\n", "a APPEND x ~%s\n"} {
		d := newDesk(OffersHidden)
		d.extends = wire.LiteralPlus
		d.say(clientSays, crlf(fmt.Sprintf(head, marker)+command+"\n"))
		if ends := head != "a APPEND x %s\n"; d.closed != ends {
			t.Errorf("%q, without extensions: ended %v, the server hears %q", head, d.closed, &d.server)
		}
	}
	before := map[string][]step{
		"an odd line":                 passes(clientSays, " k NOOP\n"),
		"an answer to no command":     passes(serverSays, "zz OK\n"),
		"a literal of NOOP":           passes(clientSays, "k NOOP {1+}\nx\n"),
		"the + that IDLE asked for":   allowed("k IDLE %s\n"),
		"a command that is not known": passes(clientSays, "k XIDLE\n"),
		"a wait that was cancelled":   join(passes(clientSays, "k APPEND x {1}\n"), passes(serverSays, "* BAD\n")),
	}
	for name, steps := range before {
		d := newDesk(OffersHidden)
		for _, s := range append(steps, allowed("a APPEND x %s\n")...) {
			if s.who == clientSays || s.who == serverSays {
				d.say(s.who, crlf(s.text))
			}
		}
		d.say(clientSays, crlf(command))
		if !d.closed || d.reason != ReasonDoubt {
			t.Errorf("behind %s: the server hears %q", name, &d.server)
		}
	}
	d := newDesk(OffersHidden) // no mailbox is selected any more
	for _, text := range []string{"s SELECT x\n", "t CLOSE\n"} {
		d.say(clientSays, crlf(text))
		d.say(serverSays, crlf(text[:2]+"OK\n"))
	}
	if d.say(clientSays, crlf(fmt.Sprintf("a SEARCH TEXT %s\n", marker)+command)); !d.closed {
		t.Errorf("behind CLOSE: the server hears %q", &d.server)
	}
}

// In front of a server that takes no non-synchronising literals, they are asked for.
func TestLiteralsThatTheServerHasToAllow(t *testing.T) {
	const lacks = allExtensions
	for _, offers := range []Offers{OffersNone, OffersUnknown} {
		play(t, []script{
			{name: "allowed", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "+ go\n", clientHears, "+ go\n", serverHears, "b NOOP\nx\nc NOOP\n"), passes(serverSays, "a OK\nc OK\n"))},
			{name: "refused: the client has sent it all the same", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "a NO [TRYCREATE] no\n", clientHears, "a NO [TRYCREATE] no\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "refused before it is all sent", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NO", serverHears, "a APPEND x {9}\n"), passes(serverSays, "a BAD no\n"),
				says(clientSays, "OP\nx\nc NOOP\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "refused without a tag", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "* BAD no\n", clientHears, "* BAD no\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "refused, more of them behind it", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a LOGIN {1+}\nx {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a LOGIN {1}\n"),
				says(serverSays, "a NO no\n", clientHears, "a NO no\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "two of them", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a RENAME {1+}\nx {3+}\nabc\nc NOOP\n", serverHears, "a RENAME {1}\n"),
				says(serverSays, "+\n", clientHears, "+\n", serverHears, "x {3}\n"),
				says(serverSays, "+\n", clientHears, "+\n", serverHears, "abc\nc NOOP\n"), passes(serverSays, "a OK\nc OK\n"))},
			{name: "the second one refused", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a RENAME {1+}\nx {3+}\nabc\nc NOOP\n", serverHears, "a RENAME {1}\n"),
				says(serverSays, "+\n", clientHears, "+\n", serverHears, "x {3}\n"),
				says(serverSays, "a NO\n", clientHears, "a NO\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "of no bytes, with a tilde, behind LF", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND ~{0+}␊ x\nc NOOP\n", serverHears, "a APPEND ~{0}␊"),
				says(serverSays, "+\n", clientHears, "+\n", serverHears, " x\nc NOOP\n"), passes(serverSays, "a OK\nc OK\n"))},
			{name: "of a verb that has none", offers: OffersNone, lacks: lacks, steps: join(
				says(clientSays, "a NOOP {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a NOOP {9}\n"),
				says(serverSays, "a OK\n", clientHears, "a OK\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "of a line that is no command", offers: OffersNone, lacks: lacks, steps: join(
				says(clientSays, " a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, " a APPEND x {9}\n"),
				says(serverSays, "a BAD no\n", clientHears, "a BAD no\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "asked for as ever", offers: offers, lacks: lacks, steps: join(
				passes(clientSays, "a APPEND x {3}\n"), passes(serverSays, "a NO no\n"), passes(clientSays, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "a later list offers them", offers: offers, lacks: lacks, steps: join(
				passes(serverSays, "* CAPABILITY IMAP4rev1 LITERAL+\n"), passes(clientSays, "a APPEND x {3+}\nabc\n"), passes(serverSays, "a OK\n"))},
			{name: "a later list does not", offers: offers, steps: join(
				passes(serverSays, "* OK [CAPABILITY IMAP4rev1] hi\n"), says(clientSays, "a APPEND x {3+}\nabc\n", serverHears, "a APPEND x {3}\n"),
				says(serverSays, "a NO no\n", clientHears, "a NO no\n"), passes(clientSays, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "small ones are taken", offers: offers, steps: join(
				passes(serverSays, "* CAPABILITY IMAP4rev1 LITERAL-\n"), passes(clientSays, "a APPEND x {3+}\nabc\n"), passes(serverSays, "a OK\n"),
				says(clientSays, "b APPEND x {4097+}\n", serverHears, "b APPEND x {4097}\n"), passes(serverSays, "b NO no\n"))},
		})
	}
	play(t, []script{{name: "mail that asks for compression", offers: OffersHidden, lacks: lacks, steps: join(
		says(clientSays, "a APPEND x {20+}\nb COMPRESS DEFLATE\n\n", serverHears, "a APPEND x {20}\n"),
		says(serverSays, "+\n", clientHears, "+\n", serverHears, "b COMPRESS DEFLATE\n\n"), passes(serverSays, "a OK\n"))}})
}
