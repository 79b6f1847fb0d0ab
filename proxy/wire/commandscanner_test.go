package wire

import (
	"strings"
	"testing"
)

func TestCommandScanner(t *testing.T) {
	tag64, blanks64 := strings.Repeat("t", 64), strings.Repeat(" ", 64)
	checkTraces(t, []scanCase{
		{"nothing", "", []string{"0 line start, 0 held"}},
		{"one command", "a1 NOOP\r\n", []string{"0 begin a1 NOOP", "9 end", "9 line start, 0 held"}},
		{"two commands", "a NOOP\r\nb LOGOUT\r\n", []string{"0 begin a NOOP", "8 end", "8 begin b LOGOUT", "18 end",
			"18 line start, 0 held"}},
		{"lone LF ends a line", "a NOOP\nb NOOP\n", []string{"0 begin a NOOP", "7 end", "7 begin b NOOP", "14 end",
			"14 line start, 0 held"}},
		{"lone CR does not", "a NOOP\rb NOOP\r\n", []string{"0 begin a NOOP", "15 end", "15 line start, 0 held"}},
		{"blank lines", "\r\n\na NOOP\r\n\n", []string{"3 begin a NOOP", "11 end", "12 line start, 0 held"}},
		{"CR at a line's start", "\ra\n", []string{"0 stray", "3 end", "3 line start, 0 held"}},
		{"cut in a blank line", "\r", []string{"0 line start, 1 held"}},
		{"cut in the tag", "ab", []string{"0 line start, 2 held"}},
		{"cut in the verb", "a NOO", []string{"0 line start, 5 held"}},
		{"cut behind the verb", "a NOOP", []string{"0 line start, 6 held"}},
		{"cut in the line", "a NOOP ", []string{"0 begin a NOOP", "7 inside, 0 held"}},
		{"no verb", "a\r\nb \r\n", []string{"0 begin a other", "3 end", "3 begin b other", "7 end",
			"7 line start, 0 held"}},
		{"unknown verb", "a XYZZY\r\n", []string{"0 begin a other", "9 end", "9 line start, 0 held"}},
		{"verb in any case", "a iDLe\r\nDONE\r\n", []string{"0 begin a IDLE", "8 end", "14 line",
			"14 line start, 0 held"}},

		{"longest tag", tag64 + " NOOP\n", []string{"0 begin " + tag64 + " NOOP", "70 end", "70 line start, 0 held"}},
		{"longest tag, cut", tag64, []string{"0 line start, 64 held"}},
		{"tag too long", tag64 + "t", []string{"0 long tag", "65 inside, 0 held"}},
		{"tag with plus", "+a NOOP\n", []string{"0 stray", "8 end", "8 line start, 0 held"}},
		{"tag with plus inside", "a+ NOOP\n", []string{"0 stray", "8 end", "8 line start, 0 held"}},
		{"tag with bracket", "[a] NOOP\n", []string{"0 begin [a] NOOP", "9 end", "9 line start, 0 held"}},
		{"no tag", " NOOP\n", []string{"0 stray", "6 end", "6 line start, 0 held"}},
		{"TAB behind the tag", "a\tNOOP\n", []string{"0 stray", "7 end", "7 line start, 0 held"}},
		{"NUL", "\x00\n", []string{"0 stray", "2 end", "2 line start, 0 held"}},
		{"8-bit", "\xe9 NOOP\n", []string{"0 stray", "7 end", "7 line start, 0 held"}},
		{"stray line with a literal", "* {3}\nabc\n",
			[]string{"0 stray", "6 sync", "9 literal", "10 end", "10 line start, 0 held"}},

		{"64 blanks", "a" + blanks64 + "NOOP\n", []string{"0 begin a NOOP", "70 end", "70 line start, 0 held"}},
		{"64 blanks, cut", "a" + blanks64, []string{"0 line start, 65 held"}},
		{"65 blanks", "a " + blanks64, []string{"0 stray", "66 inside, 0 held"}},
		{"65 blanks in UID", "a UID " + blanks64, []string{"0 stray", "70 inside, 0 held"}},
		{"TAB before the verb", "a \tCOMPRESS DEFLATE\n", []string{"0 stray", "20 end", "20 line start, 0 held"}},
		{"NUL before the verb", "a \x00NOOP\n", []string{"0 stray", "8 end", "8 line start, 0 held"}},
		{"digit for a verb", "a 1\n", []string{"0 begin a other", "4 end", "4 line start, 0 held"}},

		{"verb ended by TAB", "a NOOP\t\n", []string{"0 begin a other", "8 end", "8 line start, 0 held"}},
		{"verb ended by NUL", "a NOOP\x00\n", []string{"0 begin a other", "8 end", "8 line start, 0 held"}},
		{"verb ended by a parenthesis", "a FETCH(\n", []string{"0 begin a other", "9 end", "9 line start, 0 held"}},
		{"intercepted, ended by TAB", "a COMPRESS\tDEFLATE\n",
			[]string{"0 begin a COMPRESS", "19 end", "19 line start, 0 held"}},
		{"intercepted, ended by NUL", "a starttls\x00\n",
			[]string{"0 begin a STARTTLS", "12 end", "12 line start, 0 held"}},
		{"intercepted, ended by a parenthesis", "a UNAUTHENTICATE(\n",
			[]string{"0 begin a UNAUTHENTICATE", "18 end", "18 line start, 0 held"}},
		{"longest verb, cut", "a UNAUTHENTICATE", []string{"0 line start, 16 held"}},
		{"15 letters, cut", "a UNAUTHENTICATED", []string{"0 line start, 17 held"}},
		{"16 letters", "a UNAUTHENTICATEDX", []string{"0 begin a other", "18 inside, 0 held"}},

		{"UID pair", "a UID FETCH 1:* FLAGS\n", []string{"0 begin a UID FETCH", "22 end", "22 line start, 0 held"}},
		{"UID pair in any case", "a uid expunge 1\n",
			[]string{"0 begin a UID EXPUNGE", "16 end", "16 line start, 0 held"}},
		{"UID pair, blanks", "a  UID   SORT ()\n", []string{"0 begin a UID SORT", "17 end", "17 line start, 0 held"}},
		{"UID alone", "a UID\n", []string{"0 begin a other", "6 end", "6 line start, 0 held"}},
		{"UID and no more", "a UID \r\n", []string{"0 begin a other", "8 end", "8 line start, 0 held"}},
		{"UID, cut", "a UID ", []string{"0 line start, 6 held"}},
		{"UID pair unknown", "a UID NOOP\n", []string{"0 begin a other", "11 end", "11 line start, 0 held"}},
		{"UID with TAB", "a UID\tFETCH 1\n", []string{"0 begin a other", "14 end", "14 line start, 0 held"}},
		{"UID intercepted", "a UID COMPRESS\n", []string{"0 begin a other", "15 end", "15 line start, 0 held"}},

		{"literal", "a LOGIN {3}\r\nb\n\r {2}\r\nxy\r\n",
			[]string{"0 begin a LOGIN", "13 sync", "16 literal", "22 sync", "24 literal", "26 end",
				"26 line start, 0 held"}},
		{"literal, LF", "a LOGIN {1}\nx\n", []string{"0 begin a LOGIN", "12 sync", "13 literal", "14 end",
			"14 line start, 0 held"}},
		{"literal+", "a LOGIN {3+}\r\nb\n\r {2+}\r\nxy\r\n",
			[]string{"0 begin a LOGIN", "14 free", "17 literal", "24 free", "26 literal", "28 end",
				"28 line start, 0 held"}},
		{"literal8", "a APPEND x ~{3}\r\n\x00\n{\r\n",
			[]string{"0 begin a APPEND", "17 sync", "20 literal", "22 end", "22 line start, 0 held"}},
		{"literal8+", "a APPEND x ~{3+}\r\n\x00\n{\r\n",
			[]string{"0 begin a APPEND", "18 free", "21 literal", "23 end", "23 line start, 0 held"}},
		{"empty literal", "a LOGIN {0}\r\n {0+}\r\n\r\n",
			[]string{"0 begin a LOGIN", "13 sync", "20 free", "22 end", "22 line start, 0 held"}},
		{"leading zeros", "a X {0000000000000000000000000002}\nxy\n",
			[]string{"0 begin a other", "35 sync", "37 literal", "38 end", "38 line start, 0 held"}},
		{"in a literal", "a X {9+}\nxy\n", []string{"0 begin a other", "9 free", "12 inside, 0 held"}},
		{"largest number", "a X {9223372036854775807+}\nb NOOP\n",
			[]string{"0 begin a other", "27 free", "34 inside, 0 held"}},
		{"number too large", "a X {9223372036854775808}\nb NOOP\n",
			[]string{"0 begin a other", "26 end", "26 begin b NOOP", "33 end", "33 line start, 0 held"}},
		{"number far too large", "a X {99999999999999999999}\n",
			[]string{"0 begin a other", "27 end", "27 line start, 0 held"}},
		{"no number", "a X {}\na X {+}\n", []string{"0 begin a other", "7 end", "7 begin a other", "15 end",
			"15 line start, 0 held"}},
		{"negative number", "a X {-1}\n", []string{"0 begin a other", "9 end", "9 line start, 0 held"}},
		{"plus misplaced", "a X {+1}\na X {1++}\n", []string{"0 begin a other", "9 end", "9 begin a other", "19 end",
			"19 line start, 0 held"}},
		{"unclosed marker", "a X {1\na X {1+\n", []string{"0 begin a other", "7 end", "7 begin a other", "15 end",
			"15 line start, 0 held"}},
		{"unopened marker", "a X 1}\n}\n", []string{"0 begin a other", "7 end", "7 begin } other", "9 end",
			"9 line start, 0 held"}},
		{"nested marker", "a X {1{2}\nxy\n", []string{"0 begin a other", "10 sync", "12 literal", "13 end",
			"13 line start, 0 held"}},
		{"marker not at the end", "a X {1} \na X {1}\r\r\na X {1}\x00\n",
			[]string{"0 begin a other", "9 end", "9 begin a other", "19 end", "19 begin a other", "28 end",
				"28 line start, 0 held"}},
		{"marker behind the tag", "a {1}\nx\n", []string{"0 begin a other", "6 sync", "7 literal", "8 end",
			"8 line start, 0 held"}},
		{"literal refused", "x LOGIN {3}\r\na NOOP\r\n",
			[]string{"0 begin x LOGIN", "13 sync", "13 begin a NOOP", "21 end", "21 line start, 0 held"}},
		{"empty literal refused", "x LOGIN {0}\na NOOP\n",
			[]string{"0 begin x LOGIN", "12 sync", "12 begin a NOOP", "19 end", "19 line start, 0 held"}},

		{"expected line is blank", "a IDLE\r\n\r\nb NOOP\r\n",
			[]string{"0 begin a IDLE", "8 end", "10 line", "10 begin b NOOP", "18 end", "18 line start, 0 held"}},
		{"expected line is a command", "a IDLE\nb NOOP\nc NOOP\n",
			[]string{"0 begin a IDLE", "7 end", "14 line", "14 begin c NOOP", "21 end", "21 line start, 0 held"}},
		{"expected line has a marker", "a IDLE\nDONE {5}\nb NOOP\n",
			[]string{"0 begin a IDLE", "7 end", "16 line", "16 begin b NOOP", "23 end", "23 line start, 0 held"}},
		{"expected line opens a marker", "a IDLE\nDONE {\n1}\nb NOOP\n",
			[]string{"0 begin a IDLE", "7 end", "14 line", "14 begin 1} other", "17 end", "17 begin b NOOP", "24 end",
				"24 line start, 0 held"}},
		{"expected line is cut", "a IDLE\nDO", []string{"0 begin a IDLE", "7 end", "9 inside, 0 held"}},
		{"nothing is expected in a literal", "a IDLE {2}\nDOx\nDONE\nb NOOP\n",
			[]string{"0 begin a IDLE", "11 sync", "13 literal", "15 end", "20 line", "20 begin b NOOP", "27 end",
				"27 line start, 0 held"}},
	}, traceCommands, referenceCommands)
}

// A line of megabytes passes in chunks, and the marker at its end counts.
func TestCommandScannerLongLine(t *testing.T) {
	var s CommandScanner
	if _, event, _ := s.Next([]byte("a SEARCH ")); event != CommandBegin {
		t.Fatalf("event %d at the command's start", event)
	}
	chunk := []byte(strings.Repeat("1{23}+", 10_000))
	for range 100 {
		if n, event, _ := s.Next(chunk); n != len(chunk) || event != CommandMore || s.AtLineStart() {
			t.Fatalf("passed %d of %d bytes, event %d", n, len(chunk), event)
		}
	}
	if n, event, _ := s.Next([]byte("{5}\r\nhello\r\n")); n != 5 || event != CommandSync {
		t.Fatalf("at %d event %d instead of a literal", n, event)
	}
	if n, event, _ := s.Next([]byte("hello\r\n")); n != 5 || event != CommandLiteral {
		t.Fatalf("at %d event %d instead of the literal's end", n, event)
	}
	if n, event, _ := s.Next([]byte("\r\n")); n != 2 || event != CommandEnd || !s.AtLineStart() {
		t.Fatalf("at %d event %d instead of the end", n, event)
	}
}

func TestCommandScannerExpectAgain(t *testing.T) {
	var s CommandScanner
	s.ExpectLine()
	if !s.AtLineStart() {
		t.Fatal("an expected line that has not begun counts as begun")
	}
	s.CancelLiteral()
	if _, event, head := s.Next([]byte("a NOOP\r\n")); event != CommandBegin || head.Verb != VerbNoop {
		t.Fatalf("event %d: the line is still expected", event)
	}
}

func TestCommandScannerDoesNotAllocate(t *testing.T) {
	stream := []byte("a UID FETCH 1:* (FLAGS)\r\nb APPEND INBOX {5+}\r\nhello\r\nc UID\r\n? x\r\n")
	if n := testing.AllocsPerRun(100, func() {
		var s CommandScanner
		for p := stream; len(p) > 0; {
			n, _, _ := s.Next(p)
			p = p[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The size of a literal is what is still to come of it, and 0 outside.
func TestLiteralSize(t *testing.T) {
	var s CommandScanner
	for _, step := range []struct {
		bytes string
		want  int64
	}{{"a NOOP\r\n", 0}, {"b LOGIN {5+}\r\n", 5}, {"ab", 3}, {"cde", 0}, {" x\r\n", 0}} {
		for p := []byte(step.bytes); len(p) > 0; {
			n, _, _ := s.Next(p)
			p = p[n:]
		}
		if got := s.LiteralSize(); got != step.want {
			t.Errorf("after %q: %d, want %d", step.bytes, got, step.want)
		}
	}
}
