package wire

import (
	"fmt"
	"strings"
	"testing"
)

func TestResponseScanner(t *testing.T) {
	tag64, blanks64 := strings.Repeat("t", 64), strings.Repeat(" ", 64)
	checkTraces(t, []scanCase{
		{"nothing", "", []string{"0 line start, 0 held"}},
		{"tagged", "a OK done\r\nb NO no\r\nc BAD bad\r\n",
			[]string{"0 tagged a OK", "11 tagged b NO", "20 tagged c BAD", "31 line start, 0 held"}},
		{"tagged, in any case, without text", "a ok\r\nb No\n",
			[]string{"0 tagged a OK", "6 tagged b NO", "11 line start, 0 held"}},
		{"tagged, blanks", "a  OK\n", []string{"0 tagged a OK", "6 line start, 0 held"}},
		{"tagged, too many blanks", "a " + blanks64 + " OK\n", []string{"70 line start, 0 held"}},
		{"tagged, no status for it", "a BYE\na PREAUTH x\na FETCH\na\n",
			[]string{"0 tagged a BYE", "28 line start, 0 held"}},
		{"tagged, longer word", "a OKAY\na OK-ish\na OK\t\n", []string{"22 line start, 0 held"}},
		{"longest tag", tag64 + " OK\n", []string{"0 tagged " + tag64 + " OK", "68 line start, 0 held"}},
		{"longest tag, cut", tag64, []string{"0 line start, 64 held"}},
		{"tag too long", tag64 + "t", []string{"65 inside, 0 held"}},
		{"continuation", "+ go on\r\n+\r\n+idling\n",
			[]string{"0 continue", "9 continue", "12 continue", "20 line start, 0 held"}},
		{"continuation, cut", "+", []string{"0 continue", "1 inside, 0 held"}},
		{"data", "* 12 EXISTS\r\n* LIST () \"/\" x\r\n* SEARCH\n", []string{"39 line start, 0 held"}},
		{"data, cut", "* 12 EX", []string{"7 inside, 0 held"}},
		{"status passes", "* OK hello\r\n* NO x\n* BAD x\n* PREAUTH x\n",
			[]string{"19 status BAD", "39 line start, 0 held"}},
		{"BYE", "* BYE gone\r\n* bye\n* BYEBYE\n", []string{"0 status BYE", "12 status BYE", "27 line start, 0 held"}},
		{"BYE, cut", "* BYE", []string{"0 line start, 5 held"}},
		{"BYE and its blank, cut", "* BYE ", []string{"0 line start, 6 held"}},
		{"stray", "hello, world\n*OK\n\r\n\n \n\x00\n\xe8 OK\n\xe9 OK\n* \n",
			[]string{"22 garbage", "24 garbage", "37 line start, 0 held"}},
		{"cut behind the star", "*", []string{"0 line start, 1 held"}},
		{"cut behind the blank", "* ", []string{"0 line start, 2 held"}},
		{"cut in a word", "* SEARC", []string{"0 line start, 7 held"}},
		{"lone CR", "* 1 EXISTS\r* 2 EXISTS\r\na OK\n", []string{"23 tagged a OK", "28 line start, 0 held"}},

		{"literal", "* 1 FETCH (BODY {7}\r\na OK\r\n)\r\na OK\r\n",
			[]string{"30 tagged a OK", "36 line start, 0 held"}},
		{"literals", "* 1 FETCH (X {2}\na\n Y ~{3+}\r\n+\x00\n)\n", []string{"34 line start, 0 held"}},
		{"literal in other data", "* LIST () \"/\" {1}\r\nx\r\n", []string{"22 line start, 0 held"}},
		{"empty literal", "* 1 FETCH (BODY {0}\n)\na OK\n", []string{"22 tagged a OK", "27 line start, 0 held"}},
		{"leading zeros", "* 1 X {00000000000000000000002}\n+\n\n", []string{"35 line start, 0 held"}},
		{"largest number", "* 1 X {9223372036854775807}\na OK\n", []string{"33 inside, 0 held"}},
		{"number too large", "* 1 X {9223372036854775808}\na OK\n",
			[]string{"28 tagged a OK", "33 line start, 0 held"}},
		{"no marker", "* 1 X {}\n* 1 X {1\n* 1 X {1} \n* 1 X 1}\n* 1 }\na OK\n",
			[]string{"44 tagged a OK", "49 line start, 0 held"}},
		{"marker, CR", "* 1 X {1}\r\r\na OK\n", []string{"12 tagged a OK", "17 line start, 0 held"}},
		{"no literal in a status", "* OK x {9}\r\n* BYE x {9}\na NO x {9}\n+ x {9}\n? {9}\na OK\n",
			[]string{"12 status BYE", "24 tagged a NO", "35 continue", "49 tagged a OK", "54 line start, 0 held"}},
		{"literal behind what is like a status", "* OKAY {1}\nx\n* OK-ISH {1}\nx\na OK\n",
			[]string{"28 tagged a OK", "33 line start, 0 held"}},
		{"shortest literal", "* {1}\nx\n* 1{1}\nx\n", []string{"17 line start, 0 held"}},

		{"list", "* CAPABILITY IMAP4rev1\r\n", []string{"0 status , list of 24", "24 line start, 0 held"}},
		{"list, in any case, blanks", "*  capaBility\n", []string{"0 status , list of 14", "14 line start, 0 held"}},
		{"list, cut", "* CAPABILITY IMAP4", []string{"0 line start, 18 held"}},
		{"list in OK", "* OK [CAPABILITY X] hi\r\n", []string{"0 status OK, list of 24", "24 line start, 0 held"}},
		{"list in OK, blanks, any case", "* ok  [ capability X] hi\n",
			[]string{"0 status OK, list of 25", "25 line start, 0 held"}},
		{"list in PREAUTH", "* PREAUTH [CAPABILITY X] hi\n",
			[]string{"0 status PREAUTH, list of 28", "28 line start, 0 held"}},
		{"list in tagged OK", "a OK [CAPABILITY X] hi {3}\nb OK\n",
			[]string{"0 tagged a OK, list of 27", "27 tagged b OK", "32 line start, 0 held"}},
		{"list in tagged OK, cut", "a OK [CAPABILITY X]", []string{"0 line start, 19 held"}},
		{"other codes", "* OK [CAPABILITIES X]\na OK [CAPABILITY]\na OK [CAPABILITY-X Y]\n* OK [UNSEEN 1] x\n",
			[]string{"22 tagged a OK", "40 tagged a OK", "80 line start, 0 held"}},
		{"no code", "* OK CAPABILITY\n* OK x [CAPABILITY X]\n* 1 CAPABILITY\n", []string{"53 line start, 0 held"}},
		{"longer names", "* CAPABILITYX A\n* CAPABILITY-X A\n* XCAPABILITY A\n", []string{"49 line start, 0 held"}},
		{"tagged list", "a CAPABILITY X\n", []string{"15 line start, 0 held"}},
		{"code cut", "* OK [CAPA", []string{"0 line start, 10 held"}},
		{"code cut behind its name", "* OK [CAPABILITY", []string{"0 line start, 16 held"}},
	}, traceResponses, referenceResponses)
}

// Up to MaxCapabilityLine a list is waited for, and not one byte further.
func TestResponseScannerLongList(t *testing.T) {
	for _, head := range []string{"* CAPABILITY ", "* OK [CAPABILITY ", "a OK [CAPABILITY "} {
		what := "0 status "
		if head[0] == 'a' {
			what = "0 tagged a "
		}
		if head[2] == 'O' {
			what += "OK"
		}
		line := func(size int) string { return head + strings.Repeat("X", size-len(head)-1) + "\n" }
		fits, over := line(MaxCapabilityLine), line(MaxCapabilityLine+1)
		checkTraces(t, []scanCase{
			{head + "fits", fits, []string{what + ", list of 8192", "8192 line start, 0 held"}},
			{head + "waits", fits[:MaxCapabilityLine-1], []string{"0 line start, 8191 held"}},
			{head + "over", over, []string{what + ", too long", "8193 line start, 0 held"}},
			{head + "over, cut", over[:MaxCapabilityLine], []string{what + ", too long", "8192 inside, 0 held"}},
		}, traceResponses, referenceResponses)
	}
}

// A line of megabytes passes in chunks, and the marker at its end counts.
func TestResponseScannerLongLine(t *testing.T) {
	var s ResponseScanner
	chunks := []string{"* 1 FETCH (X \""}
	for range 100 {
		chunks = append(chunks, strings.Repeat("1{23}+", 10_000))
	}
	chunks = append(chunks, "{5}\r\n", "a OK\n", ")\r\n")
	for i, chunk := range chunks {
		if n, event, _ := s.Next([]byte(chunk)); n != len(chunk) || event != ResponseMore {
			t.Fatalf("chunk %d: passed %d of %d bytes, event %d", i, n, len(chunk), event)
		}
		if last := i == len(chunks)-1; s.AtLineStart() != last {
			t.Fatalf("chunk %d: at a line's start: %v", i, !last)
		}
	}
}

func TestResponseScannerDoesNotAllocate(t *testing.T) {
	stream := []byte(strings.Repeat("* 1 FETCH (FLAGS () UID 7)\r\n", 3) +
		"* 2 FETCH (BODY[] {5}\r\nhello)\r\n* LIST () NIL x\r\n" +
		"* OK [CAPABILITY X] hi\r\n+ go\r\n? stray\r\na OK done\r\n")
	if n := testing.AllocsPerRun(100, func() {
		var s ResponseScanner
		for p := stream; len(p) > 0; {
			n, _, _ := s.Next(p)
			p = p[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleResponseScanner() {
	var s ResponseScanner
	p := []byte("* 1 EXISTS\r\n+ idling\r\na1 OK done\r\n")
	for at := 0; ; {
		n, event, line := s.Next(p[at:])
		at += n
		switch event {
		case ResponseMore:
			return
		case ResponseContinue:
			fmt.Println(at, "continue")
		case ResponseTagged:
			fmt.Println(at, "answer to", string(p[at:at+line.TagLen]))
		}
	}
	// Output:
	// 12 continue
	// 22 answer to a1
}
