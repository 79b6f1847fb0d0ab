package e2e

import (
	"fmt"
	"strconv"
	"strings"
)

// hide is a way to bring a command past somebody who is to stop it.
type hide struct {
	name string
	// parts are what is sent. In them, CMD stands for the command's line with its CRLF, LEN for the line's length.
	// Between parts the client waits for "+", the answer to b or an untagged BAD.
	parts []string
	want  fate
}

// fate is what has to become of a hidden command.
type fate uint8

const (
	fateSafe    fate = iota // whatever happens, it does not happen
	fateRefused             // it gets Portico's answer, and the session goes on
	// it is data of another command: the session goes on, or ends where some server might take it for more
	fateData
)

// fill puts the command into the parts.
func (h hide) fill(command string) []string {
	var filled []string
	for _, part := range h.parts {
		filled = append(filled, strings.NewReplacer("CMD", command, "LEN+6", fmt.Sprint(len(command)+6), "LEN",
			fmt.Sprint(len(command))).Replace(part))
	}
	return filled
}

// hides are ways to hide a command. Behind each of them comes a LOGOUT.
func hides() []hide {
	list := []hide{
		{"in the open", []string{"CMD"}, fateRefused},
		{"behind a command", []string{"b NOOP\r\nCMD"}, fateRefused},
		{"behind blank lines", []string{"\r\n\n\r\nCMD"}, fateRefused},
		{"behind a literal", []string{"b APPEND INBOX {5}\r\n", "hello\r\nCMD"}, fateRefused},
		{"behind a literal unasked", []string{"b APPEND INBOX {5+}\r\nhello\r\nCMD"}, fateRefused},
		{"behind a binary literal", []string{"b APPEND INBOX ~{5}\r\n", "hello\r\nCMD"}, fateRefused},
		{"behind a binary literal unasked", []string{"b APPEND INBOX ~{5+}\r\nhello\r\nCMD"}, fateRefused},
		{"behind an empty literal", []string{"b LIST \"\" {0+}\r\n\r\nCMD"}, fateRefused},
		{"behind two literals", []string{"b LIST {0+}\r\n {1+}\r\n*\r\nCMD"}, fateRefused},
		{"behind a refused literal", []string{"b APPEND Nowhere {LEN}\r\n", "CMD"}, fateRefused},
		{"behind a refused literal unasked", []string{"b APPEND Nowhere {5+}\r\nhello\r\nCMD"}, fateRefused},
		{"behind IDLE", []string{"b IDLE\r\n", "DONE\r\nCMD"}, fateRefused},
		{"behind IDLE, not done", []string{"b IDLE\r\n", "no\r\nCMD"}, fateRefused},

		{"as a literal", []string{"b APPEND INBOX {LEN}\r\n", "CMD\r\n"}, fateData},
		{"as a literal unasked", []string{"b APPEND INBOX {LEN+}\r\nCMD\r\n"}, fateData},
		{"as a binary literal", []string{"b APPEND INBOX ~{LEN}\r\n", "CMD\r\n"}, fateData},
		{"as a binary literal unasked", []string{"b APPEND INBOX ~{LEN+}\r\nCMD\r\n"}, fateData},
		{"as a refused literal unasked", []string{"b APPEND Nowhere {LEN+}\r\nCMD\r\n"}, fateData},
		{"as a mailbox name", []string{"b STATUS {LEN+}\r\nCMD (MESSAGES)\r\n"}, fateData},
		{"as a part of CATENATE", []string{"b APPEND INBOX CATENATE (TEXT {LEN+}\r\nCMD)\r\n"}, fateData},
		{"instead of DONE, IDLE with an argument", []string{"b IDLE now\r\n", "CMD"}, fateData},
		{"instead of DONE", []string{"b IDLE\r\n", "CMD"}, fateData},

		{"as a refused literal", []string{"b APPEND Nowhere {LEN}\r\nCMD"}, fateSafe},
		{"under a tag that comes again", []string{"b NOOP {LEN+}\r\nCMD\r\nc NOOP\r\n"}, fateSafe},
		{"under a tag that comes again at once", []string{"b NOOP {LEN+}\r\nCMDc NOOP\r\nc NOOP\r\n"}, fateSafe},
		{"behind DONE in a literal of IDLE", []string{"b IDLE {LEN+6}\r\n", "DONE\r\nCMDc NOOP\r\n"}, fateSafe},
		{"as a literal too early", []string{"b APPEND INBOX {LEN}\r\nCMD\r\n"}, fateSafe},
		{"as the second literal behind a bad flag", []string{"b APPEND INBOX {5+}\r\nhello (\\Bad) {LEN+}\r\nCMD\r\n"},
			fateSafe},
		{"as a message behind a bad date", []string{"b APPEND INBOX \"31-Feb-2020 00:00:00 +0000\" {LEN+}\r\nCMD\r\n"},
			fateSafe},
		{"as a message behind a keyword in quotes", []string{"b APPEND INBOX (\"x\") {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a message behind a long keyword",
			[]string{"b APPEND INBOX (" + strings.Repeat("k", 300) + ") {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a part behind a bad URL", []string{"b APPEND INBOX CATENATE (URL \"http:x\" TEXT {LEN+}\r\nCMD)\r\n"},
			fateSafe},
		{"as a URL", []string{"b APPEND INBOX CATENATE (URL {LEN+}\r\nCMD)\r\n"}, fateSafe},
		{"as a part behind an empty one", []string{"b APPEND INBOX CATENATE (TEXT {0+}\r\n TEXT {LEN+}\r\nCMD)\r\n"},
			fateSafe},
		{"as a message behind an empty one", []string{"b APPEND INBOX {0+}\r\n {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a second message", []string{"b APPEND Nowhere {5+}\r\nhello {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a message for a mailbox in a literal", []string{"b APPEND {4+}\r\n\"{x} {LEN+}\r\nCMD\r\n"}, fateData},
		{"as a second message for one", []string{"b APPEND {5+}\r\nINBOX (\\Seen) {2+}\r\nhi {LEN+}\r\nCMD\r\n"},
			fateData},
		{"as a message for a mailbox in a literal of no bytes",
			[]string{"b APPEND {0+}\r\n {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a message for a mailbox of control characters",
			[]string{"b APPEND {4+}\r\n\r\n\x00\xff {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a message for a mailbox in a literal of 4 KiB",
			[]string{"b APPEND {4096+}\r\n" + strings.Repeat("x", 4096) + " {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a message for a mailbox in a literal of 70 KB",
			[]string{"b APPEND {70000+}\r\n" + strings.Repeat("x", 70000) + " {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a message of 2040", []string{"b APPEND INBOX \"31-Dec-2040 23:59:60 +2359\" {LEN+}\r\nCMD\r\n"},
			fateSafe},
		{"as a message behind an empty date", []string{"b APPEND INBOX \"\" {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a name behind a name", []string{"b RENAME {4+}\r\n\"{x} {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"in a list of patterns", []string{"b LIST (SUBSCRIBED) \"\" (% {LEN+}\r\nCMD)\r\n"}, fateSafe},
		{"in a list of status items", []string{"b LIST \"\" % RETURN (STATUS ({LEN+}\r\nCMD))\r\n"}, fateSafe},
		{"in ID", []string{"b ID (\"name\" {LEN+}\r\nCMD)\r\n"}, fateData},
		{"in metadata", []string{"b SETMETADATA INBOX (/private/comment {LEN+}\r\nCMD)\r\n"}, fateSafe},
		{"in metadata of no mailbox", []string{"b SETMETADATA Nowhere (/private/comment {LEN+}\r\nCMD)\r\n"},
			fateSafe},
		{"as a mailbox that has no metadata", []string{"b GETMETADATA {LEN+}\r\nCMD (/private/comment)\r\n"},
			fateSafe},
		{"as a quota's root", []string{"b SETQUOTA {LEN+}\r\nCMD (STORAGE 1)\r\n"}, fateSafe},
		{"behind a quota's root", []string{"b GETQUOTAROOT INBOX {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as an identifier", []string{"b SETACL INBOX {LEN+}\r\nCMD lr\r\n"}, fateSafe},
		{"as a header field", []string{"b SELECT INBOX\r\n", "d FETCH 1 (BODY[HEADER.FIELDS ({LEN+}\r\nCMD)])\r\n"},
			fateSafe},
		{"as a character set", []string{"b SELECT INBOX\r\n", "d SORT (DATE) {LEN+}\r\nCMD ALL\r\n"}, fateSafe},
		{"as a string to look for", []string{"b SELECT INBOX\r\n",
			"d SEARCH CHARSET X-NONE OR TEXT {LEN+}\r\nCMD ALL\r\n"}, fateSafe},
		{"as a mailbox to copy to", []string{"b SELECT INBOX\r\n", "d UID COPY bad {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"behind an odd line that idles", []string{" b IDLE\r\n", "b APPEND INBOX {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"behind an odd line", []string{" b NOOP\r\nb APPEND INBOX {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"behind a wait that is over too early", []string{"]b NOOP\r\nb APPEND INBOX {28}\r\n",
			"d APPEND INBOX {LEN}\r\nCMD\r\n"}, fateSafe},
		{"behind a wait that is over too early, unasked",
			[]string{"]b NOOP\r\nb APPEND INBOX {23}\r\n", "d APPEND INBOX {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a name to rename", []string{"b RENAME {LEN+}\r\nCMD x\r\n"}, fateSafe},
		{"as a second name", []string{"b RENAME x {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a pattern", []string{"b LIST \"\" {LEN+}\r\nCMD\r\n"}, fateSafe},
		{"as a literal of LOGIN", []string{"b LOGIN {LEN+}\r\nCMD x\r\n"}, fateSafe},
		{"as a SASL response", []string{"b AUTHENTICATE PLAIN\r\nCMD"}, fateSafe},
		{"as a line of IDLE too early", []string{"b IDLE\r\nCMD"}, fateSafe},
		{"behind DONE too early", []string{"b IDLE\r\nDONE\r\nCMD"}, fateSafe},
		{"behind two lines of IDLE", []string{"b IDLE\r\nno\r\nno\r\nCMD"}, fateSafe},
		{"in quotes", []string{"b SELECT \"CMD\"\r\n"}, fateSafe},
		{"behind a line that is too long", []string{"b NOOP " + strings.Repeat("x", 70_000) + "\r\nCMD"}, fateSafe},
		{"behind half a command", []string{"b APPEND INBOX (\r\nCMD"}, fateSafe},
	}
	// Markers behind which no literal comes for one of the two, or for both.
	for _, verb := range []string{"NOOP", "XYZZY", "SELECT", "SEARCH TEXT", "CHECK x", "FETCH 1 BODY[", "UID", ""} {
		for _, marker := range []string{"{LEN+}", "{LEN}", "~{LEN+}", "~{LEN}"} {
			list = append(list, hide{"as a literal of " + verb + " " + marker,
				[]string{"b " + verb + " " + marker + "\r\nCMD"}, fateSafe})
		}
	}
	for _, marker := range []string{
		"{LEN+} ", "{LEN +}", "{ LEN+}", "{+LEN}", "{-LEN}", "{LEN++}", "{LEN-}", "{LEN", "LEN+}", "{000LEN+}",
		"{LEN+}\t", "{LEN+}\x00", "\"{LEN+}", "\"a {LEN+}",
		"{18446744073709551634+}", "{9223372036854775807}", "{9223372036854775808+}", "{4294967314+}",
		"{99999999999999999999+}", "{0x12+}", "{LEN+}{LEN+}",
		"a{LEN+}", "[{LEN+}", "({LEN+}", "\\{LEN+}", "%{LEN+}", "&{LEN}", "{LEN+}\r", "{LEN}\r", "{LEN+}\v",
	} {
		list = append(list,
			hide{fmt.Sprintf("behind the marker %q", marker),
				[]string{"b APPEND INBOX " + marker + "\r\nCMD"}, fateSafe},
			hide{fmt.Sprintf("behind the marker %q of LF", marker), []string{"b NOOP " + marker + "\nCMD"}, fateSafe})
	}
	// Names of mailboxes that a server may refuse before it has read the rest.
	for _, name := range []string{`""`, "/", "//", "a//b", "/a", "a/", "~/a", "../a", ".", "..", "&", "&-",
		"INBOX/", "#x",
		strings.Repeat("x", 64), strings.Repeat("x", 300), strings.Repeat("x/", 30) + "x"} {
		list = append(list, hide{"as a message for " + strconv.Quote(name),
			[]string{"b APPEND " + name + " {LEN+}\r\nCMD\r\n"}, fateSafe})
	}
	// Lines that no two parsers read alike. c is the command's tag.
	for _, odd := range []string{" CMD", "\tCMD", "\x00CMD", "+ CMD", "* CMD", "(CMD", "{5} CMD", "%CMD", "\"CMD",
		"é CMD", "b\rCMD", "b \rCMD", "\xef\xbb\xbfCMD", "b NOOP\rCMD", "b NOOP\x00\r\nCMD", "\r\r\nCMD"} {
		list = append(list, hide{fmt.Sprintf("behind %q", strings.TrimSuffix(odd, "CMD")), []string{odd}, fateSafe})
	}
	// Spellings that one parser may take for the command and another not.
	for _, odd := range []string{"c COMPRESS\tDEFLATE", "c\tCOMPRESS DEFLATE", "c  COMPRESS DEFLATE",
		"c COMPRESS  DEFLATE", "c COMPRESS \"DEFLATE\"",
		"c COMPRESS {7+}\r\nDEFLATE", "c COMPRESS {7}\r\nDEFLATE", "c COMPRESS(DEFLATE)", "c COMPRESS\x00 DEFLATE",
		"c \x00COMPRESS DEFLATE", "c UID COMPRESS DEFLATE",
		"c COMPRESS\rDEFLATE", "c COMPRESS\r DEFLATE", "c \"COMPRESS\" DEFLATE", "c {8+}\r\nCOMPRESS DEFLATE"} {
		list = append(list, hide{fmt.Sprintf("as %q", odd), []string{odd + "\r\n"}, fateSafe})
	}
	return list
}
