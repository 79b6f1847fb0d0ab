package wire

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
)

// certainAppend matches the APPENDs, up to the first non-synchronising literal's marker, that have a literal there for
// every server.
var certainAppend = func() *regexp.Regexp {
	const (
		name   = `(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^ "(){}\x00-\x1f\x7f]+|~[^ "(){}\x00-\x1f\x7f]*)`
		flag   = `(?:\\(?:Answered|Flagged|Deleted|Seen|Draft)|[^ "(){}\\\x00-\x1f\x7f][^ "(){}\x00-\x1f\x7f]*)`
		flags  = `\( *(?:` + flag + `(?: +` + flag + `)*)? *\)`
		date   = `"[ 0-9]?[0-9]-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [-+][0-9]{4}"`
		parts  = `CATENATE +\( *(?:URL +` + name + ` +)*(?:TEXT|URL)`
		marker = `~?\{[0-9]+\+\}\r?\n`
	)
	before := name + `(?: +` + flags + `)?(?: +` + date + `)?(?: +` + parts + `)? +`
	return regexp.MustCompile(`(?i)^[^ ]+ APPEND +(?:` + before + `)?` + marker + `$`)
}()

// FuzzPlace checks three things, whatever a client says. The pieces in which a command comes decide nothing. A literal
// that is certain stays so with more extensions. An APPEND whose literal is certain has the form of RFC 9051.
func FuzzLiteralGrammar(f *testing.F) {
	for _, command := range []string{
		"a APPEND INBOX {3+}\r\n",
		"a append \"a \\\"b\" (\\Seen x) \"01-Jan-2026 00:00:00 +0000\" {3+}\r\n",
		"a APPEND {5+}\r\n",
		"a APPEND INBOX CATENATE (URL \"/x;uid=1\" TEXT {3+}\r\n",
		"a APPEND INBOX ~{3+}\r\n",
		"a APPEND INBOX (\\Seen){3+}\n",
		"a APPEND ~/x {3+}\r\n",
		"a SEARCH CHARSET UTF-8 HEADER X {3+}\r\n",
		"a ID (\"name\" {3+}\r\n",
		"a FETCH 1 BODY[HEADER.FIELDS (TO {3+}\r\n",
		"a LIST (SUBSCRIBED) \"\" ({3+}\r\n",
		"a SETMETADATA INBOX (/private/x {3+}\r\n",
		"a UID REPLACE 4 INBOX {3+}\r\n",
		"a APPEND INBOX (\\Seed) {3+}\r\n",
		"a APPEND INBOX (a) (b) {3+}\r\n",
		"a APPEND INBOX \"1-Jan-2026\" {3+}\r\n",
		"a APPEND a b {3+}\r\n",
	} {
		f.Add(command, " {4+}\r\n", []byte{1, 3})
	}
	f.Fuzz(func(t *testing.T, line, more string, cuts []byte) {
		if len(line)+len(more) > maxFuzz {
			return
		}
		event, head := commandHead([]byte(line))
		if event != CommandBegin {
			return
		}
		follow := func(e Extensions, pieces ...[]string) (seen []Certainty) {
			var p LiteralGrammar
			p.Begin(head, []byte(line))
			for _, fed := range pieces {
				for _, piece := range fed {
					p.Feed([]byte(piece))
				}
				seen = append(seen, p.Literal(e))
			}
			return seen
		}
		const all = ^Extensions(0)
		whole := follow(all, []string{line}, []string{more})
		if cut := follow(all, cutUp(line, cuts), cutUp(more, cuts)); !slices.Equal(whole, cut) {
			t.Errorf("%q, %q: %v whole, %v in pieces %v", line, more, whole, cut, cuts)
		}
		for bit := LiteralPlus; bit <= URLAuth; bit <<= 1 {
			if less := follow(all&^bit, []string{line}, []string{more}); less[0] == Certain && whole[0] != Certain {
				t.Errorf("%q: certain without extension %b alone", line, bit)
			}
		}
		if head.Verb == VerbAppend && whole[0] == Certain && !certainAppend.MatchString(line) {
			t.Errorf("certain of %q", line)
		}
	})
}

// The oracle of FuzzPlace says yes at all.
func TestCertainAppend(t *testing.T) {
	for line, want := range map[string]bool{
		"a APPEND INBOX {3+}\r\n": true, "a APPEND {3+}\r\n": true, "a APPEND INBOX {3}\r\n": false,
		"a APPEND INBOX (a {3+}\r\n":                                false,
		"a APPEND INBOX () \"01-Jan-2026 00:00:00 +0000\" {3+}\r\n": true,
		"a APPEND INBOX CATENATE (TEXT {3+}\r\n":                    true,
	} {
		if got := certainAppend.MatchString(line); got != want {
			t.Errorf("%s: %v", fmt.Sprintf("%q", line), got)
		}
	}
}
