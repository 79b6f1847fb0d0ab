package relay

import (
	"fmt"
	"strings"
	"testing"

	"portico/proxy/wire"
)

// mails are what a mail may say. For a server that took it for commands, each would be one that must not reach it.
var mails = []string{
	"Please compress \"photos.zip\" before you send it.\n", "Now UNAUTHENTICATE!\n",
	"Accepted: compress deflate gzip\n", "I compress ~40% better.\n",
	"x COMPRESS DEFLATE\n", "x UNAUTHENTICATE\n", "Subject: hi\n\nx COMPRESS DEFLATE\ny LOGIN a b\n",
}

// Mail is never refused for what it says, where the mailbox server offers COMPRESS.
func TestMailPassesWhateverItSays(t *testing.T) {
	selected := passes(clientSays, "s SELECT x\n") // and not answered
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
		{nil, "a APPEND &2D3eAA-&2D3eAA- %s\n", "\n"},
		{nil, "a APPEND \"Entw\u00fcrfe\" %s\n", "\n"},
		{nil, "a APPEND \"\" %s\n", "\n"},
		{nil, "a APPEND  x  (\\Seen  \\Draft)  \"17-Jul-1996 02:44:25 -0700\"  %s\n", "  {1+}\nx\n"},
		{nil, "a APPEND x (\\Seen ) %s\n", "\n"},
		{nil, "a APPEND x ( ) %s\n", "\n"}, {nil, "a APPEND x ( \\Seen) %s\n", "\n"},
		{nil, "a APPEND x \"1-Jan-2026 00:00:00 +0000\" %s\n", "\n"},
		{nil, "a APPEND x \"01-Jan-2026 00:00:00 +9999\" %s\n", "\n"}, {nil, "a APPEND a*b %s\n", "\n"},
		{nil, "a APPEND Public\\x %s\n", "\n"},
		{nil, "a APPEND \\x (a*b a%b a\\b ~a *) %s\n", "\n"}, {nil, "a APPEND ~/x %s\n", "\n"},
		{nil, "a APPEND ~ %s\n", "\n"}, {nil, "a APPEND \"a\\b\" %s\n", "\n"},
		{nil, "a APPEND x CATENATE  ( URL  \"/x/;uid=1\"  TEXT  %s\n", "  TEXT {1+}\nx )  {1+}\nx\n"},
		{nil, "a CREATE  %s\n", "\n"}, {nil, "a RENAME  ~x  %s\n", "\n"},
		{nil, "a LIST (SUBSCRIBED) \"\" %s\n", "\n"}, {nil, "a LIST (SUBSCRIBED)  %s\n", " %\n"},
		{nil, "a URLFETCH x %s\n", "\n"}, {nil, "a GENURLAUTH %s\n", " INTERNAL\n"},
		{nil, "a APPEND " + strings.Repeat("Archive/2026/", 40) + " (" + strings.Repeat("k", 300) +
			") \"31-Dec-2040 23:59:60 +0000\" %s\n", "\n"},
		{nil, "a APPEND {5+}\nINBOX %s\n", "\n"},
		{nil, "a APPEND {10+}\nodd\n\"{}() (\\Seen) {3+}\nabc %s\n", "\n"},
		{nil, "a APPEND {5}\n+INBOX %s\n", "\n"},
		{nil, "a APPEND {5}\n+INBOX {3}\n+abc (\\Seen) %s\n", "\n"},
		{nil, "a APPEND x ~%s\n", "\n"},
		{nil, "a APPEND x CATENATE (TEXT %s\n", " URL \"/x/;uid=1\" TEXT {1+}\nx)\n"},
		{nil, "a APPEND x CATENATE (URL {1+}\nx TEXT %s\n", ")\n"},
		{nil, "a SELECT %s\n", "\n"}, {nil, "a RENAME x %s\n", "\n"}, {nil, "a LIST \"\" %s\n", "\n"},
		{nil, "a STATUS %s\n", " (MESSAGES)\n"},
		{nil, "a RENAME {1+}\nx %s\n", "\n"}, {nil, "a CREATE %s\n", " (USE (\\Sent))\n"},
		{nil, "a LIST (SUBSCRIBED) \"\" (% %s\n", ") RETURN (CHILDREN)\n"},
		{nil, "a ID (\"name\" %s\n", ")\n"}, {nil, "a SETMETADATA INBOX (/private/comment %s\n", ")\n"},
		{nil, "a SETMETADATA \"\" (/private/x NIL /shared/y %s\n", ")\n"},
		{nil, "a SETMETADATA %s\n", " (/private/comment NIL)\n"},
		{nil, "a GETMETADATA (DEPTH 1) INBOX (/private/x %s\n", ")\n"},
		{nil, "a SETQUOTA %s\n", " (STORAGE 1)\n"}, {nil, "a GETQUOTAROOT %s\n", "\n"},
		{nil, "a SETACL x %s\n", " lrs\n"}, {nil, "a NOTIFY SET (MAILBOXES %s\n", " (MessageNew))\n"},
		{selected, "a SEARCH CHARSET %s\n", " ALL\n"}, {selected, "a SORT (DATE) %s\n", " ALL\n"},
		{selected, "a MOVE 1:* %s\n", "\n"},
		{selected, "a FETCH 1 (BODY[HEADER.FIELDS (x)]<0.9> BODY[HEADER.FIELDS (%s\n", ")])\n"},
		{selected, "a SEARCH TEXT %s\n", "\n"}, {selected, "a UID SEARCH 1:* (OR HEADER x %s\n", " ALL)\n"},
		{selected, "a COPY 1:* %s\n", "\n"},
		{nil, "a UID SEARCH RETURN (COUNT MIN) CHARSET UTF-8 NOT (SUBJECT %s\n", " )\n"},
		{nil, "a UID COPY 1 %s\n", "\n"},
		{nil, "a SEARCH UNKEYWORD $x UID 1:* LARGER 5 OLDER 50 MODSEQ 3 SINCE 1-Jan-2020  TEXT  %s\n", " UNSEEN\n"},
		{nil, "a SEARCH $ KEYWORD TEXT TEXT %s\n", "\n"},
		{nil, "a UID SORT RETURN () (REVERSE DATE) UTF-8 SUBJECT %s\n", "\n"},
		{nil, "a SORT RETURN (COUNT) (DATE) %s\n", " ALL\n"},
		{selected, "a SORT (DATE) UTF-8 SUBJECT %s\n", "\n"},
		{selected, "a UID THREAD REFERENCES UTF-8 BODY %s\n", "\n"},
	}
	var scripts []script
	for _, h := range heads {
		answer := ""
		if h.before != nil {
			answer = "s NO no\n"
		}
		for _, mail := range mails {
			end := join(passes(clientSays, mail+h.tail), passes(serverSays, answer+"a OK\n"),
				says(clientSays, "c COMPRESS DEFLATE\n", clientHears, "c"+refusedCompress))
			scripts = append(scripts,
				script{name: h.head + mail, offers: OffersHidden, steps: join(h.before,
					asks(strings.Replace(h.head, "%s", "{"+lengthOf(mail)+"+}", 1)), end)},
				script{name: h.head + mail + "asked", offers: OffersHidden, steps: join(h.before,
					asks(strings.Replace(h.head, "%s\n", "{"+lengthOf(mail)+"}\n+", 1)), end)})
		}
	}
	playOnDesks(t, scripts)
	pass := func(name string, before ...[]step) script {
		const mail = "x COMPRESS DEFLATE\n"
		return script{name: name, offers: OffersHidden,
			steps: join(join(before...), asks("a APPEND x {20}\n+"+mail+"\n"), passes(serverSays, "a OK\n"),
				asks("b APPEND x {20+}\n"+mail+"\n"), passes(serverSays, "b OK\n"))}
	}
	playOnDesks(t, []script{
		pass("behind an odd line", passes(clientSays, " k NOOP\n")),
		pass("behind an odd line and its answer", passes(clientSays, "* NOOP\n"), passes(serverSays, "* BAD no\n")),
		pass("behind an odd line that has a tag for the server", passes(clientSays, " k NOOP\n"),
			passes(serverSays, "k OK\n")),
		{name: "while a command of an extension is open", offers: OffersHidden,
			steps: join(passes(clientSays, "k GETQUOTAROOT INBOX\n"),
				asks("a APPEND x {20}\n+x COMPRESS DEFLATE\n\n"), passes(serverSays, "k OK\na OK\n"))},
		pass("behind a wait that was cancelled", passes(clientSays, "]k APPEND x {5}\n"),
			passes(serverSays, "* BAD no\n"),
			passes(clientSays, "l NOOP\n"), passes(serverSays, "l OK\n")),
		pass("behind a literal that was refused", passes(clientSays, "k APPEND x {5}\n"),
			passes(serverSays, "k NO no\n")),
		pass("behind an IDLE that was not understood", passes(clientSays, "]k IDLE\n"),
			passes(serverSays, "* BAD no\n"),
			passes(clientSays, "l NOOP\n"), passes(serverSays, "l OK\n")),
	})
	for _, mail := range mails { // where any verb may have been meant, the server's "+" decides
		play(t, []script{{name: "an unknown verb, " + mail, offers: OffersHidden, steps: join(
			passes(clientSays, "a SETMETADATA x (/private/comment {"+lengthOf(mail)+"}\n"),
			passes(serverSays, "+ go\n"), passes(clientSays, mail+")\n"),
			passes(serverSays, "a OK\n"))}})
	}
}

// asks returns the steps of a command: the server says "+" in place of each line that begins with one.
func asks(command string) (steps []step) {
	for {
		part, rest, more := strings.Cut(command, "\n+")
		if !more {
			return join(steps, passes(clientSays, part))
		}
		steps = join(steps, passes(clientSays, part+"\n"), passes(serverSays, "+ go\n"))
		command = rest
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
		"a NOOP %s\n", "a CHECK %s\n", "a LOGOUT %s\n", "a IDLE %s\n", "a XYZZY %s\n", "a FETCH 1 BODY[%s\n",
		"a FETCH 1 (FLAGS %s\n",
		"a] APPEND x %s\n", "a  APPEND x %s\n", "a APPEND \"x %s\n", "a APPEND x (\\Seen%s\n", "a UID  COPY 1 %s\n",
		"a  UID COPY 1 %s\n",
		"a APPEND x (\\Bad) %s\n", "a APPEND x (\\Recent) %s\n", "a APPEND x (\\*) %s\n", "a APPEND x (\"x\") %s\n",
		"a APPEND x \"31-Feb-2020 00:00:00 +0000\" %s\n",
		"a APPEND x \"today\" %s\n", "a APPEND Entw\u00fcrfe %s\n", "a APPEND x (f\u00fcr) %s\n", "a APPEND a{b %s\n",
		"a APPEND x (a{b) %s\n",
		"a APPEND x CATENATE (%s\n", "a APPEND x CATENATE (URL x BAD %s\n", "a APPEND x CATENATE () %s\n",
		"a APPEND x CATENATE (TEXT \"x\" TEXT %s\n",
		"a APPEND x\t%s\n", "a APPEND x %s␊", "a APPEND x 0%s\n", "a APPEND x\" %s\n", "a LOGIN %s\n",
		"a LOGIN x %s\n",
		"a APPEND " + strings.Repeat("x", 17000) + " %s\n", "a APPEND {1+}\nx\n %s\n", "a LIST (SUBSCRIBED %s\n",
		"a LIST \"\" %% %s\n",
		"a LIST \"\" %% RETURN (%s\n", "a LIST (SUBSCRIBED) \"\" %% (%s\n", "a SEARCH KEYWORD TEXT %s\n",
		"a SEARCH UNKEYWORD %s\n", "a SEARCH FOLDER TEXT %s\n",
		"a SEARCH (TEXT x %s\n", "a SEARCH (TEXT ) %s\n", "a SEARCH TEXT x %s\n", "a SEARCH RETURN (COUNT) %s\n",
		"a SEARCH RETURN TEXT %s\n", "a SORT (TEXT %s\n", "a SORT (DATE) UTF-8 KEYWORD TEXT %s\n",
		"a SETMETADATA x (/private/comment %s\n", "a SETMETADATA {5+}\nINBOX (/private/comment %s\n",
		"a SETQUOTA x y %s\n", "a NOTIFY %s\n",
		"a DELETE x %s\n", "a SORT %s\n", "a FETCH 1 BODY[HEADER.FIELDS (x)]%s\n",
		"a FETCH 1 BODY[HEADER.FIELDS (x) %s\n", "a ID NIL %s\n", "a SELECT x %s\n", "a X %s\n",
		"a REPLACE 1 x %s\n", "a UID REPLACE 1 x (\\Seen) %s\n", "a STORE 1 FLAGS %s\n", "a UID %s\n",
		"a CREATE (%s\n",
	}
	for _, head := range heads {
		d := newBareSession(OffersHidden)
		d.say(clientSays, crlf(fmt.Sprintf(head, marker)+command+"\n"))
		asked := strings.Replace(crlf(fmt.Sprintf(head, marker)), marker, strings.Replace(marker, "+", "", 1), 1)
		if d.closed || d.server.String() != asked {
			t.Errorf("%q: ended %v, the server hears %q", head, d.closed, &d.server)
		}
		if d.say(serverSays, "a BAD no\r\n"); d.closed || d.server.String() != asked {
			t.Errorf("%q, refused: ended %v, the server hears %q", head, d.closed, &d.server)
		}
	}
	unanswered := []string{
		"a APPEND x (\\Seen) (\\Seen) %s\n", "a APPEND x y %s\n", "a APPEND x CATENATE %s\n",
		"a APPEND x CATENATE y %s\n", "a APPEND x {1+}\nx(%s\n", "a APPEND x {1+}\nx y %s\n",
		"a APPEND x (%s\n", "a APPEND x UTF8 (~%s\n", "a APPEND x (y)(z) %s\n", "a APPEND x (\\Bad) y %s\n",
		"a APPEND x \"today\" y %s\n", "a APPEND x \"y\" \"z\" %s\n",
		"a REPLACE 1 x y %s\n", "a UID REPLACE 1 x (y) (z) %s\n", "a APPEND x ~y %s\n", "a APPEND x NIL %s\n",
	}
	for _, head := range unanswered {
		d := newBareSession(OffersHidden)
		d.say(clientSays, crlf(fmt.Sprintf(head, marker)+command+"\n"))
		if !d.closed || d.reason != ReasonDoubt {
			t.Errorf("%q: the server hears %q", head, &d.server)
		}
	}
	d := newBareSession(OffersHidden)
	d.say(clientSays, "a APPEND x ")
	d.say(serverSays, "a NO full\r\n") // it reads on to the end of the command
	if d.say(clientSays, crlf(marker+"\n"+command)); !d.closed {
		t.Errorf("behind an early answer: the server hears %q", &d.server)
	}
	for _, head := range []string{"a APPEND x %s\n", "a APPEND x CATENATE (TEXT %s\n", "a APPEND x {1+}\nx %s\n",
		"a APPEND x ~%s\n", "a URLFETCH %s\n"} {
		d := newBareSession(OffersHidden)
		d.extensions = wire.LiteralPlus
		d.say(clientSays, crlf(fmt.Sprintf(head, marker)+command+"\n"))
		if asks := head != "a APPEND x %s\n"; strings.Contains(d.server.String(), marker) == asks {
			t.Errorf("%q, without extensions: the server hears %q", head, &d.server)
		}
	}
	before := map[string][]step{
		"an odd line that may be IDLE":   passes(clientSays, " k IDLE\n"),
		"one that may ask a password":    passes(clientSays, "(k\tAuthenticate X\n"),
		"an answer to no command":        passes(serverSays, "zz OK\n"),
		"a literal that goes unanswered": passes(clientSays, "k APPEND x y {1+}\nx\n"),
		"the + that IDLE asked for":      allowed("k IDLE %s\n"),
		"a command that is not known":    passes(clientSays, "k XIDLE\n"),
		"a wait that was cancelled":      join(passes(clientSays, "k APPEND x {1}\n"), passes(serverSays, "* BAD\n")),
		"its + that came late": join(passes(clientSays, "k APPEND x {1}\n"), passes(serverSays, "* BAD\n"),
			passes(clientSays, "l NOOP\n"), passes(serverSays, "+\nl OK\n")),
	}
	for name, steps := range before {
		d := newBareSession(OffersHidden)
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
}

// In front of a server that takes no non-synchronising literals, they are asked for.
func TestLiteralsThatTheServerHasToAllow(t *testing.T) {
	const lacks = allExtensions
	for _, offers := range []Offers{OffersNone, OffersUnknown} {
		play(t, []script{
			{name: "allowed", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "+ go\n", serverHears, "b NOOP\nx\nc NOOP\n"), passes(serverSays, "a OK\nc OK\n"))},
			{name: "refused: the client has sent it all the same", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "a NO [TRYCREATE] no\n", clientHears, "a NO [TRYCREATE] no\n", serverHears,
					"c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "refused before it is all sent", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NO", serverHears, "a APPEND x {9}\n"),
				passes(serverSays, "a BAD no\n"),
				says(clientSays, "OP\nx\nc NOOP\n", serverHears, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "refused without a tag", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a APPEND x {9}\n"),
				says(serverSays, "* BAD no\n", clientHears, "* BAD no\n", serverHears, "c NOOP\n"),
				passes(serverSays, "c OK\n"))},
			{name: "refused, more of them behind it", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a LOGIN {1+}\nx {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a LOGIN {1}\n"),
				says(serverSays, "a NO no\n", clientHears, "a NO no\n", serverHears, "c NOOP\n"),
				passes(serverSays, "c OK\n"))},
			{name: "two of them", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a RENAME {1+}\nx {3+}\nabc\nc NOOP\n", serverHears, "a RENAME {1}\n"),
				says(serverSays, "+\n", serverHears, "x {3}\n"),
				says(serverSays, "+\n", serverHears, "abc\nc NOOP\n"), passes(serverSays, "a OK\nc OK\n"))},
			{name: "the second one refused", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a RENAME {1+}\nx {3+}\nabc\nc NOOP\n", serverHears, "a RENAME {1}\n"),
				says(serverSays, "+\n", serverHears, "x {3}\n"),
				says(serverSays, "a NO\n", clientHears, "a NO\n", serverHears, "c NOOP\n"),
				passes(serverSays, "c OK\n"))},
			{name: "of no bytes, with a tilde, behind LF", offers: offers, lacks: lacks, steps: join(
				says(clientSays, "a APPEND ~{0+}␊ x\nc NOOP\n", serverHears, "a APPEND ~{0}␊"),
				says(serverSays, "+\n", serverHears, " x\nc NOOP\n"), passes(serverSays, "a OK\nc OK\n"))},
			{name: "of a verb that has none", offers: OffersNone, lacks: lacks, steps: join(
				says(clientSays, "a NOOP {9+}\nb NOOP\nx\nc NOOP\n", serverHears, "a NOOP {9}\n"),
				says(serverSays, "a OK\n", clientHears, "a OK\n", serverHears, "c NOOP\n"),
				passes(serverSays, "c OK\n"))},
			{name: "of a line that is no command", offers: OffersNone, lacks: lacks, steps: join(
				says(clientSays, " a APPEND x {9+}\nb NOOP\nx\nc NOOP\n", serverHears, " a APPEND x {9}\n"),
				says(serverSays, "a BAD no\n", clientHears, "a BAD no\n", serverHears, "c NOOP\n"),
				passes(serverSays, "c OK\n"))},
			{name: "asked for as ever", offers: offers, lacks: lacks, steps: join(
				passes(clientSays, "a APPEND x {3}\n"), passes(serverSays, "a NO no\n"),
				passes(clientSays, "c NOOP\n"), passes(serverSays, "c OK\n"))},
			{name: "a later list offers them", offers: offers, lacks: lacks, steps: join(
				passes(serverSays, "* CAPABILITY IMAP4rev1 LITERAL+\n"), passes(clientSays, "a APPEND x {3+}\nabc\n"),
				passes(serverSays, "a OK\n"))},
			{name: "a later list does not", offers: offers, steps: join(
				passes(serverSays, "* OK [CAPABILITY IMAP4rev1] hi\n"),
				says(clientSays, "a APPEND x {3+}\nabc\n", serverHears, "a APPEND x {3}\n"),
				says(serverSays, "a NO no\n", clientHears, "a NO no\n"), passes(clientSays, "c NOOP\n"),
				passes(serverSays, "c OK\n"))},
			{name: "small ones are taken", offers: offers, steps: join(
				passes(serverSays, "* CAPABILITY IMAP4rev1 LITERAL-\n"), passes(clientSays, "a APPEND x {3+}\nabc\n"),
				passes(serverSays, "a OK\n"),
				says(clientSays, "b APPEND x {4097+}\n", serverHears, "b APPEND x {4097}\n"),
				passes(serverSays, "b NO no\n"))},
		})
	}
	play(t, []script{{name: "mail that asks for compression", offers: OffersHidden, lacks: lacks, steps: join(
		says(clientSays, "a APPEND x {20+}\nb COMPRESS DEFLATE\n\n", serverHears, "a APPEND x {20}\n"),
		says(serverSays, "+\n", serverHears, "b COMPRESS DEFLATE\n\n"), passes(serverSays, "a OK\n"))}})
}
