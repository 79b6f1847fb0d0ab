package relay

import "testing"

func TestIdle(t *testing.T) {
	begin := join(passes(clientSays, "a IDLE\n"), passes(serverSays, "+ idling\n"))
	play(t, []script{
		{name: "new mail and DONE", steps: join(begin,
			passes(serverSays, "* 4 EXISTS\n", "* 1 RECENT\n"), passes(clientSays, "DONE\n"),
			passes(serverSays, "a OK\n"),
			passes(clientSays, "b NOOP\n"), passes(serverSays, "b OK\n"))},
		{name: "is not queued", steps: begin},
		{name: "is queued until its +", queued: 1, steps: passes(clientSays, "a IDLE\n")},
		{name: "is queued from DONE", queued: 1, steps: join(begin, passes(clientSays, "done\n"))},
		{name: "a command behind DONE", steps: join(begin,
			says(clientSays, "DONE\nb COMPRESS DEFLATE\nc NOOP\n", serverHears, "DONE\nc NOOP\n", clientHears,
				"b"+refusedCompress),
			passes(serverSays, "a OK\nc OK\n"))},
		{name: "DONE sent at once", steps: join(
			says(clientSays, "a IDLE\nDONE\nb NOOP\n", serverHears, "a IDLE\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "DONE\nb NOOP\n"),
			passes(serverSays, "a OK\nb OK\n"))},
		{name: "the + comes before the line's end", steps: join(
			passes(clientSays, "a IDLE\r"), passes(serverSays, "+\n"), passes(clientSays, "␊"),
			says(clientSays, "DONE\nb COMPRESS DEFLATE\n", serverHears, "DONE\n", clientHears, "b"+refusedCompress),
			passes(serverSays, "a OK\n"))},
		{name: "a line that is not DONE belongs to it", offers: OffersNone, steps: join(begin,
			passes(clientSays, "x COMPRESS DEFLATE {5}\n"), passes(serverSays, "a BAD what\n"),
			says(clientSays, "b COMPRESS DEFLATE\n", clientHears, "b"+refusedCompress))},
		{name: "an empty line belongs to it", steps: join(begin,
			passes(clientSays, "\n"), passes(serverSays, "a BAD what\n"), passes(clientSays, "b NOOP\n"),
			passes(serverSays, "b OK\n"))},
		{name: "refused with NO", steps: join(
			says(clientSays, "a IDLE\nb NOOP\n", serverHears, "a IDLE\n"),
			says(serverSays, "a NO no\n", clientHears, "a NO no\n", serverHears, "b NOOP\n"),
			passes(serverSays, "b OK\n"))},
		{name: "refused with BAD", steps: join(
			says(clientSays, "a IDLE\nb COMPRESS DEFLATE\n", serverHears, "a IDLE\n"),
			says(serverSays, "a BAD no\n", clientHears, "a BAD no\nb"+refusedCompress))},
		{name: "ended by the server", steps: join(begin,
			passes(serverSays, "a OK long enough\n"), passes(clientSays, "b NOOP\n"), passes(serverSays, "b OK\n"))},
		{name: "ended by the server while DONE is on its way", steps: join(begin,
			passes(serverSays, "a OK long enough\n"), passes(clientSays, "DONE\n"),
			passes(serverSays, "DONE BAD what\n"))},
		{name: "again and again", steps: join(
			begin, passes(clientSays, "DONE\n"), passes(serverSays, "a OK\n"),
			begin, passes(clientSays, "DONE\n"), passes(serverSays, "a OK\n"), begin)},
		{name: "behind another command", steps: join(
			says(clientSays, "x NOOP\na IDLE\nDONE\n", serverHears, "x NOOP\na IDLE\n"),
			passes(serverSays, "x OK\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "DONE\n"), passes(serverSays, "a OK\n"))},
	})
}

func TestAuthenticateAfterSignIn(t *testing.T) {
	play(t, []script{
		{name: "refused at once", steps: join(
			says(clientSays, "a AUTHENTICATE PLAIN\nb NOOP\n", serverHears, "a AUTHENTICATE PLAIN\n"),
			says(serverSays, "a BAD already\n", clientHears, "a BAD already\n", serverHears, "b NOOP\n"),
			passes(serverSays, "b OK\n"))},
		{name: "with an exchange", offers: OffersNone, steps: join(
			says(clientSays, "a AUTHENTICATE X\nAGE=\nb COMPRESS {4}\nc NOOP\n", serverHears, "a AUTHENTICATE X\n"),
			says(serverSays, "+ Y2hhbGxlbmdl\n", clientHears, "+ Y2hhbGxlbmdl\n", serverHears, "AGE=\n"),
			says(serverSays, "+\n", clientHears, "+\n", serverHears, "b COMPRESS {4}\n"),
			says(serverSays, "a NO no\n", clientHears, "a NO no\n", serverHears, "c NOOP\n"),
			passes(serverSays, "c OK\n"))},
		{name: "cancelled", steps: join(
			passes(clientSays, "a AUTHENTICATE PLAIN\n"), passes(serverSays, "+ \n"), passes(clientSays, "*\n"),
			passes(serverSays, "a BAD cancelled\n"),
			says(clientSays, "b COMPRESS DEFLATE\n", clientHears, "b"+refusedCompress))},
		{name: "its first answer at once", steps: join(
			says(clientSays, "a AUTHENTICATE PLAIN AGE=\nb NOOP\n", serverHears, "a AUTHENTICATE PLAIN AGE=\n"),
			says(serverSays, "a NO no\n", clientHears, "a NO no\n", serverHears, "b NOOP\n"),
			passes(serverSays, "b OK\n"))},
	})
}
