package relay

import (
	"strings"
	"testing"
)

func TestHidesNamesInCapabilityLists(t *testing.T) {
	const long = "* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE"
	answered := func(answer, hears string) []step {
		return join(passes(clientSays, "a CAPABILITY\n"), says(serverSays, answer, clientHears, hears))
	}
	play(t, []script{
		{name: "untagged",
			steps: says(serverSays, "* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE STARTTLS UNAUTHENTICATE\n",
				clientHears, "* CAPABILITY IMAP4rev1 IDLE\n")},
		{name: "in an OK",
			steps: says(serverSays, "* OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE] try COMPRESS=DEFLATE\n",
				clientHears, "* OK [CAPABILITY IMAP4rev1 IDLE] try COMPRESS=DEFLATE\n")},
		{name: "in a tagged OK", steps: answered("a OK [CAPABILITY COMPRESS=DEFLATE IMAP4rev1] COMPRESS=DEFLATE\n",
			"a OK [CAPABILITY IMAP4rev1] COMPRESS=DEFLATE\n")},
		{name: "in a tagged NO", steps: answered("a NO [CAPABILITY COMPRESS=DEFLATE] no\n", "a NO [CAPABILITY] no\n")},
		{name: "in any case", steps: join(
			says(serverSays, "* capability imap4rev1 compress=lz4 idle unAuthenticate\n", clientHears,
				"* capability imap4rev1 idle\n"),
			says(serverSays, "* ok [Capability Compress=Deflate IDLE] hi\n", clientHears,
				"* ok [Capability IDLE] hi\n"))},
		{name: "several at once", steps: says(serverSays,
			"* 1 EXISTS\n* CAPABILITY COMPRESS=DEFLATE A\n* 2 EXISTS\n* OK [CAPABILITY B STARTTLS]\n* CAPABILITY "+
				"C\n* 1 FETCH (BODY[] {4}\nabcd)\n", clientHears,
			"* 1 EXISTS\n* CAPABILITY A\n* 2 EXISTS\n* OK [CAPABILITY B]\n* CAPABILITY C\n* 1 FETCH (BODY[] "+
				"{4}\nabcd)\n")},
		{name: "whole words only", steps: passes(serverSays,
			"* CAPABILITY XCOMPRESS=DEFLATE COMPRESSION UNAUTHENTICATED XUNAUTHENTICATE STARTTLSX X-STARTTLS "+
				"AUTH=COMPRESS=DEFLATE\n",
			"* CAPABILITIES COMPRESS=DEFLATE\n", "* OK [CAPABILITIES COMPRESS=DEFLATE]\n",
			"* LIST () \"/\" COMPRESS=DEFLATE\n",
			"* OK CAPABILITY COMPRESS=DEFLATE\n", "* 1 FETCH (X \"* CAPABILITY COMPRESS=DEFLATE\")\n")},
		{name: "as long as is waited for", steps: says(serverSays,
			long+strings.Repeat(" X", (8<<10-len(long)-2)/2)+"\n",
			clientHears, "* CAPABILITY IMAP4rev1"+strings.Repeat(" X", (8<<10-len(long)-2)/2)+"\n")},
		{name: "too long", steps: passes(serverSays, long+strings.Repeat(" X", 4<<10)+"\n", "* 1 EXISTS\n")},
	})
}

func TestListsTooLongAreCountedAndLeaveDoubt(t *testing.T) {
	d := newBareSession(OffersNone)
	d.say(serverSays, "* CAPABILITY"+strings.Repeat(" COMPRESS=DEFLATE", 1000))
	d.say(serverSays, "\r\n* 1 EXISTS\r\n")
	if d.tracker.stats.LongCapabilities != 1 || d.offers != OffersUnknown {
		t.Errorf("%d counted, offers %d", d.tracker.stats.LongCapabilities, d.offers)
	}
}

func TestListsSayWhatIsOffered(t *testing.T) {
	for _, test := range []struct {
		before Offers
		list   string
		after  Offers
	}{
		{OffersUnknown, "IMAP4rev1 STARTTLS", OffersNone},
		{OffersUnknown, "COMPRESS=DEFLATE", OffersHidden},
		{OffersNone, "UNAUTHENTICATE", OffersHidden},
		{OffersNone, "IDLE", OffersNone},
		{OffersHidden, "IDLE", OffersHidden},
	} {
		d := newBareSession(test.before)
		d.say(serverSays, "* CAPABILITY "+test.list+"\r\n")
		if d.offers != test.after {
			t.Errorf("%d and %q: %d, want %d", test.before, test.list, d.offers, test.after)
		}
	}
}
