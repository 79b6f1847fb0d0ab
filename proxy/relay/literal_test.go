package relay

import (
	"strings"
	"testing"
)

const refusedCompress = " NO [CANNOT] Compression is not available here\n"

func TestLiterals(t *testing.T) {
	const commands = "b COMPRESS DEFLATE\nc STARTTLS\n"
	const answers = "* CAPABILITY COMPRESS=DEFLATE\nzz OK\n* BYE\n+\n"
	play(t, []script{
		{name: "a synchronising literal holds the rest back until +", steps: join(
			says(clientSays, "a APPEND x {3}\nabc\nb NOOP\n", serverHears, "a APPEND x {3}\n"),
			says(serverSays, "+ go\n", clientHears, "+ go\n", serverHears, "abc\nb NOOP\n"),
			passes(serverSays, "a OK\nb OK\n"))},
		{name: "an answer cancels it", steps: join(
			says(clientSays, "a APPEND x {3}\nb NOOP\nc COMPRESS DEFLATE\n", serverHears, "a APPEND x {3}\n"),
			says(serverSays, "a NO no\n", clientHears, "a NO no\nc"+refusedCompress, serverHears, "b NOOP\n"),
			passes(serverSays, "b OK\n"))},
		{name: "the answer to another command does not", queued: 1, steps: join(
			says(clientSays, "x NOOP\na APPEND x {7}\nb NOOP\n", serverHears, "x NOOP\na APPEND x {7}\n"),
			passes(serverSays, "x OK\n", "* 3 EXISTS\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "b NOOP\n"))},
		{name: "the + comes before the line's end", steps: join(
			passes(clientSays, "a APPEND x {3}"), passes(serverSays, "+\n"), passes(clientSays, "\n", "abc {4}\r"),
			says(serverSays, "+\n", clientHears, "+\n"), passes(clientSays, "␊cdef\nb NOOP\n"),
			passes(serverSays, "a OK\nb OK\n"))},
		{name: "a + before the line's end is for one literal", queued: 1, steps: join(
			passes(clientSays, "a APPEND x {3}"), passes(serverSays, "+\n"),
			says(clientSays, "\nabc {4}\nb NOOP\n", serverHears, "\nabc {4}\n"))},
		{name: "a + that nobody asked for is not for the next command", queued: 1, steps: join(
			passes(clientSays, "a NOOP x"), passes(serverSays, "+\n"), passes(clientSays, "\n"),
			says(clientSays, "b APPEND x {4}\nb NOOP\n", serverHears, "b APPEND x {4}\n"),
			passes(serverSays, "a OK\n"))},
		{name: "of no bytes", steps: join(
			passes(clientSays, "a APPEND x {0}\n"), passes(serverSays, "+\n"), passes(clientSays, "\n"),
			passes(clientSays, "b LIST \"\" {0+}\n\n"), passes(serverSays, "a OK\nb OK\n"))},
		{name: "that do not wait", offers: OffersNone, steps: join(
			passes(clientSays, "a LOGIN {2+}\nab {3+}\ncde\nb NOOP\n"), passes(serverSays, "a OK\nb OK\n"))},
		{name: "with a tilde", steps: join(
			passes(clientSays, "a APPEND x ~{3+}\na\x00b\n"), passes(clientSays, "b APPEND x ~{3}\n"),
			passes(serverSays, "+\n"), passes(clientSays, "a\x00b\n"), passes(serverSays, "a OK\nb OK\n"))},
		{name: "several in one command", steps: join(
			says(clientSays, "a APPEND x {3}\nabc {2}\nde (\\Seen) {1+}\nf\nb NOOP\n", serverHears,
				"a APPEND x {3}\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "abc {2}\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "de (\\Seen) {1+}\nf\nb NOOP\n"),
			passes(serverSays, "a OK\nb OK\n"))},
		{name: "the second one refused", steps: join(
			says(clientSays, "a APPEND x {3}\nabc {2}\nb NOOP\n", serverHears, "a APPEND x {3}\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "abc {2}\n"),
			says(serverSays, "a NO [OVERQUOTA] no\n", clientHears, "a NO [OVERQUOTA] no\n", serverHears, "b NOOP\n"),
			passes(serverSays, "b OK\n"))},
		{name: "answered before the last byte", steps: join(
			passes(clientSays, "a APPEND x {9+}\nabc"), passes(serverSays, "a NO over quota\n"),
			passes(clientSays, "\nx \n\nb NOOP\n"), passes(serverSays, "b OK\n"))},
		{name: "more of them behind an answer that came early", steps: join(
			passes(clientSays, "a APPEND x {3+}\na"), passes(serverSays, "a NO over quota\n"),
			passes(clientSays, "bc {4}\n"), passes(clientSays, "b NOOP\n"), passes(serverSays, "b OK\n"))},
		{name: "full of commands", offers: OffersNone, steps: join(
			passes(clientSays, "a APPEND x {"+lengthOf(commands)+"+}\n"+commands+"\n"), passes(serverSays, "a OK\n"))},
		{name: "full of answers", steps: join(
			passes(serverSays, "* 1 FETCH (BODY[] {"+lengthOf(answers)+"}\n"+answers+" X ~{2}\n\n)\n"),
			passes(clientSays, "a NOOP\n"), passes(serverSays, "a OK\n"))},
		{name: "no literal in a text", steps: join(
			passes(serverSays, "* OK look at this {12}\n", "* CAPABILITY IMAP4rev1\n"),
			passes(clientSays, "a NOOP\n"), passes(serverSays, "a OK {9}\n"))},
		{name: "server data while the client is in one", steps: join(
			passes(clientSays, "a APPEND x {5+}\nab"), passes(serverSays, "* 3 EXISTS\n"), passes(clientSays, "cde\n"),
			passes(serverSays, "a OK\n"))},
	})
}

func TestOurAnswersWaitForALineBoundary(t *testing.T) {
	play(t, []script{
		{name: "in a literal", steps: join(
			passes(serverSays, "* 1 FETCH (BODY[] {10}\n01\n"),
			says(clientSays, "a COMPRESS DEFLATE\nb NOOP\n", serverHears, "b NOOP\n"),
			passes(serverSays, "23\n", "45 X"),
			says(serverSays, ")\n* 2 EXISTS\nb OK\n", clientHears, ")\na"+refusedCompress+"* 2 EXISTS\nb OK\n"))},
		{name: "between literals", steps: join(
			passes(serverSays, "* 1 FETCH (BODY[] {4}\n"),
			[]step{{clientSays, "a COMPRESS DEFLATE\n"}},
			passes(serverSays, "\n\n BODY[TEXT] {8}\n", "\nb OK\n X"),
			says(serverSays, ")\n", clientHears, ")\na"+refusedCompress))},
		{name: "in a line", steps: join(
			passes(serverSays, "* 1 FETCH (FLA"),
			[]step{{clientSays, "a COMPRESS DEFLATE\nb UNAUTHENTICATE\n"}},
			says(serverSays, "GS ())\n", clientHears, "GS ())\na"+refusedCompress+
				"b BAD UNAUTHENTICATE is not available here\n"))},
		{name: "in front of a line that is not known yet", steps: join(
			[]step{{serverSays, "* O"}},
			says(clientSays, "a COMPRESS DEFLATE\n", clientHears, "a"+refusedCompress),
			says(serverSays, "K hi\n", clientHears, "* OK hi\n"))},
	})
}

func TestAnswersWithoutALineBoundaryStopTheClient(t *testing.T) {
	d := newBareSession(OffersNone)
	d.say(serverSays, "* 1 FETCH (BODY[] {1000000}\r\n")
	d.client.Reset()
	for range 1000 {
		d.say(clientSays, "a COMPRESS DEFLATE\r\n")
	}
	if d.mayReadClient() || d.ownLines.len() > 2*maxOwnLines || len(d.cHeld) == 0 {
		t.Fatalf("%d bytes of answers wait, %d bytes of the client", d.ownLines.len(), len(d.cHeld))
	}
	d.say(serverSays, strings.Repeat("\n", 1000000)+")\r\n")
	if d.client.Len() != 1000000+3+1000*len("a"+crlf(refusedCompress)) {
		t.Errorf("the client heard %d bytes", d.client.Len())
	}
}

// One write has to be enough for a chunk, however many lines it has, or a literal of line ends would be very dear.
func TestAnswersWaitWithoutAWriteForEachLine(t *testing.T) {
	d := newBareSession(OffersNone)
	counter := &countingSink{}
	d.out = sinks{counter, &d.server}
	d.fromServer([]byte("* 1 FETCH (BODY[] {1000000}\r\n"), 1)
	d.fromClient([]byte("a COMPRESS DEFLATE\r\n"), 1)
	d.fromServer([]byte(strings.Repeat("\n", 60000)), 1)
	if counter.writes != 2 {
		t.Errorf("%d writes for two chunks", counter.writes)
	}
}

type countingSink struct{ writes int }

func (s *countingSink) write([]byte) { s.writes++ }
