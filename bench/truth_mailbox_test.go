package bench

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// before has a liar say something before lines that contain a text.
func before(part, text string) *liar {
	return &liar{answer: func(a *answer) {
		if a.contains(part) {
			a.say(text)
		}
		a.pass()
	}}
}

// replacing has a liar change lines that contain a text.
func replacing(part, pattern, by string) *liar {
	form := regexp.MustCompile(pattern)
	return &liar{answer: func(a *answer) {
		if a.contains(part) {
			a.text = form.ReplaceAllString(a.text, by)
		}
		a.pass()
	}}
}

// losing has a liar keep back lines that contain a text.
func losing(part string) *liar {
	return &liar{answer: func(a *answer) {
		if !a.contains(part) {
			a.pass()
		}
	}}
}

// mailboxTruths are about what servers say of the selected mailbox.
func mailboxTruths(t *testing.T) []truth {
	fetch, webmail, bulk, desktop := withProfile(t, "fetch"), withProfile(t, "webmail"), withProfile(t, "bulk"),
		withProfile(t, "desktop")
	return []truth{
		{"the first message for all", &liar{answer: func() func(a *answer) {
			first := ""
			return func(a *answer) {
				if a.to("UID FETCH 1:*") && a.contains(" FETCH (") {
					if first == "" {
						first = a.text
					}
					a.text = first
				}
				a.pass()
			}
		}()}, fetch, "", KindCount, "1 messages listed"},
		{"no EXISTS", losing("EXISTS"), webmail, "0 done, 100 failed", KindMissing, "no number of messages"},
		{"no EXISTS of a mailbox of the session", losing("EXISTS"), fetch, "", KindMissing, "no number of messages"},
		{"no envelopes", replacing("ENVELOPE", `FETCH \(.*\)`, "FETCH (UID 9)"), webmail,
			"0 done, 100 failed", KindMissing, "without FLAGS"},
		{"half an envelope", replacing("ENVELOPE", `ENVELOPE \(.*\)`, "ENVELOPE (NIL NIL))"), webmail,
			"", KindProtocol, "FETCH that cannot be read"},
		{"no sizes", replacing("RFC822.SIZE", ` ?RFC822.SIZE \d+`, ""), bulk, "", KindMissing, "without RFC822.SIZE"},
		{"no UIDs", replacing("RFC822.SIZE", `UID \d+ `, ""), bulk, "", KindMissing, "without UID"},
		{"news of flags that nobody set", before("BODY[", "* 1 FETCH (FLAGS (\\Deleted \\Seen))\r\n"), fetch,
			"0 done, 100 failed", KindFlags, "nobody set"},
		{"news of a flag that nobody set", before("BODY[", "* 1 FETCH (FLAGS (\\Draft))\r\n"), fetch,
			"0 done, 100 failed", KindFlags, "nobody set"},
		{"flags while the session waits", &liar{answer: func(a *answer) {
			a.pass()
			if a.isTagged() && a.to("UID FETCH") {
				a.later(time.Second, func() { a.say("* 1 FETCH (FLAGS (\\Deleted))\r\n") })
			}
		}}, rareProfile(t, "fetch"), "", KindFlags, "nobody set"},
		{"a message number beyond EXISTS", replacing("BODY[", `^\* \d+`, "* 999"), fetch,
			"0 done, 100 failed", KindCount, "message 999"},
		{"EXPUNGE before a body", before("BODY[", "* 1 EXPUNGE\r\n* 2 EXISTS\r\n"), fetch,
			"", KindCount, "must not happen"},
		{"EXPUNGE while the session waits", &liar{answer: func(a *answer) {
			a.pass()
			if a.conn == 1 && a.isTagged() && a.to("UID FETCH") {
				a.later(time.Second, func() { a.say("* 1 EXPUNGE\r\n") })
			}
		}}, rareProfile(t, "fetch"), "", KindCount, "must not happen"},
		{"EXPUNGE during FETCH", before("ENVELOPE", "* 1 EXPUNGE\r\n"), webmail, "", KindCount, "must not happen"},
		{"fewer messages without EXPUNGE", before("BODY[", "* 1 EXISTS\r\n"), fetch, "", KindCount,
			"none was expunged"},
		{"messages that nobody appended", before("BODY[", "* 99 EXISTS\r\n"), fetch, "", KindCount, "want at most"},
		{"expunges another message", replacing("EXPUNGE", `\* 1 EXPUNGE`, "* 2 EXPUNGE"), desktop,
			"", KindUID, "not marked as deleted"},
		{"expunges nothing", losing(" EXPUNGE\r"), desktop, "", KindCount, "want"},
		{"a mailbox without SELECT", &liar{answer: func(a *answer) {
			if a.isTagged() && a.to("NOOP") {
				a.say("* 500 EXISTS\r\n" + strings.Repeat("* 1 EXPUNGE\r\n", 500))
			}
			a.pass()
		}}, nil, "", KindCount, "no mailbox is selected"},
		{"a message without SELECT", &liar{answer: func(a *answer) {
			if a.isTagged() && a.to("NOOP") {
				a.say("* 1 FETCH (FLAGS ())\r\n")
			}
			a.pass()
		}}, nil, "0 done, 100 failed", KindCount, "no mailbox is selected"},
		{"STATUS of another mailbox", replacing("* STATUS", `STATUS \S+`, "STATUS other"), desktop,
			"0 done, 100 failed", KindMissing, "nothing of"},
		{"no answer to STORE", &liar{answer: func(a *answer) {
			if !a.to("UID STORE") || !a.contains(" FETCH ") {
				a.pass()
			}
		}}, desktop, "0 done, 100 failed", KindMissing, "new flags"},
	}
}

// TestWrongAnswersAreFailedCommands: a command whose answer was wrong has failed, once for each command.
func TestWrongAnswersAreFailedCommands(t *testing.T) {
	failing, err := ParseConditions([]string{"STATUS errors>100%", "FETCH errors>100%"})
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{answer: func(a *answer) {
		if a.contains("* STATUS") {
			return
		}
		if a.contains("RFC822.SIZE") {
			a.text = strings.Replace(a.text, "FLAGS (", `FLAGS (\Deleted \Flagged \Draft `, 1)
		}
		a.pass()
	}}
	r := runLied(t, l, func(o *Options) {
		withProfile(t, "desktop")(o)
		o.FailIf = failing
	})
	checkSums(t, r)
	status, list := r.rowOf("STATUS"), r.rowOf("UID FETCH")
	if status.Count == 0 || status.Errors != status.Count || status.Outcomes.Failed != status.Count {
		t.Errorf("STATUS: %d commands, %d errors, %s", status.Count, status.Errors, status.Outcomes)
	}
	if list.Count == 0 || list.Outcomes.Failed != list.Count {
		t.Errorf("UID FETCH: %d commands: %s", list.Count, list.Outcomes)
	}
	if store := r.rowOf("UID COPY"); store.Outcomes.Done != store.Count {
		t.Errorf("UID COPY: %s", store.Outcomes)
	}
	if failed := r.FailedConditions(); len(failed) > 0 {
		t.Errorf("%+v", failed)
	}
	if t.Failed() {
		t.Log(table(r))
	}
}
