package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// formTruths are about answers that a strict client does not take.
func formTruths() []truth {
	noop := func(do func(a *answer)) *liar {
		return &liar{answer: func(a *answer) {
			if a.isTagged() && a.to("NOOP") {
				do(a)
				return
			}
			a.pass()
		}}
	}
	all := []truth{
		{"a tag with zeros", noop(func(a *answer) { a.say("b000" + a.text[1:]) }), nil, "", KindTag, "b000"},
		{"a tag in capitals", noop(func(a *answer) { a.say("B" + a.text[1:]) }), nil, "", KindTag, "B"},
		{"+ that nobody waits for", noop(func(a *answer) { a.say("+ go on\r\n" + a.text) }), nil, "", KindProtocol,
			"go on"},
		{"+ while the session waits", noop(func(a *answer) {
			a.pass()
			a.later(50*time.Millisecond, func() { a.say("+ go on\r\n") })
		}), nil, "", KindProtocol, "go on"},
		{"+ and EXISTS without end",
			noop(func(a *answer) { a.say(strings.Repeat("+ \r\n* 1 RECENT\r\n", maxUntagged)) }),
			nil, "", KindProtocol, "+"},
		{"data behind the answer", noop(func(a *answer) { a.say(a.text + "* LIST junk\r\n") }), nil, "", KindProtocol,
			"LIST junk"},
	}
	for _, line := range badData {
		all = append(all, truth{"says " + line, noop(func(a *answer) { a.say(line + "\r\n" + a.text) }), nil,
			"", KindProtocol, ""})
	}
	return all
}

// badData are untagged data that no strict client can read.
var badData = []string{
	"* LIST junk", `* LIST (\Noselect) "/"`, `* LIST () "/" a b`, `* 5 LIST () "/" a`, "* EXISTS", "* 3 EXISTS now",
	"* 4294967296 EXISTS", "* RECENT", "* EXPUNGE", "* FETCH (FLAGS ())", "* 1 FETCH", "* 1 FETCH ()",
	"* 1 FETCH (FLAGS ()", "* 1 FETCH (FLAGS () )", "* 1 FETCH (FLAGS ()UID 3)", "* 1 FETCH (UID 0)",
	"* 1 FETCH (UID 4294967296)", "* 1 FETCH (UID x)", "* 1 FETCH FLAGS ()", "* STATUS a", "* STATUS a MESSAGES 3",
	"* STATUS a (MESSAGES)", "* STATUS (MESSAGES 3)", "* SEARCH a", "* SEARCH 0", "* SEARCH 1,2", `* FLAGS \Seen`,
	"* CAPABILITY", "* 1 FETCH (ENVELOPE (NIL))", "* 1 FETCH (ENVELOPE x)",
}

// TestGoodData wants data as servers send them to be read.
func TestGoodData(t *testing.T) {
	for _, line := range []string{
		`* LIST (\HasNoChildren) "/" INBOX`, `* LIST () NIL "a b"`, "* LIST () \"\\\\\" {3}\r\na b",
		`* LIST (\Marked) "." a.b ("CHILDINFO" ("SUBSCRIBED"))`, "* 3 EXISTS", "* 0 RECENT", "* 3 EXISTS ", "* SEARCH",
		"* SEARCH 1 2 3", "* SEARCH 1 (MODSEQ 9)", "* STATUS a (MESSAGES 3 UIDNEXT 4)", `* STATUS "a b" (MESSAGES 3) `,
		"* STATUS a ()", `* FLAGS (\Seen \*)`, "* FLAGS ()", "* CAPABILITY IMAP4rev1 IDLE", "* ID NIL", "* OK hi",
		"* NAMESPACE ((\"\" \"/\")) NIL NIL", `* 1 FETCH (FLAGS (\Seen) MODSEQ (7))`, "* 2 FETCH (uid 3)",
		`* 1 FETCH (ENVELOPE ("a" "b \" c" (("n" NIL "a" "h")("n" NIL "a" "h")) NIL NIL NIL NIL NIL NIL "<i>") UID 1)`,
		"* 1 FETCH (BODY[HEADER.FIELDS (A B)] {2}\r\nab UID 3)", "* 1 FETCH (BODYSTRUCTURE ((\"TEXT\" NIL) \"MIXED\"))",
	} {
		r := newResponseReader(strings.NewReader(line + "\r\n"))
		resp, err := r.read()
		if err == nil {
			err = resp.checkForm()
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestUnearnedSignIns: a server that signs in who has not shown a password is wrong.
func TestUnearnedSignIns(t *testing.T) {
	const sasl = "S: * OK [CAPABILITY IMAP4rev1 SASL-IR] hello\n"
	for _, c := range []struct {
		name      string
		mechanism Mechanism
		script    string
		says      string
	}{
		{"PLAIN without asking", MechanismPlain, greeting + "C: ${tag} AUTHENTICATE PLAIN\nS: ${tag} OK in",
			"did not ask"},
		{"XOAUTH2 without asking", MechanismXOAuth2, greeting + "C: ${tag} AUTHENTICATE XOAUTH2\nS: ${tag} OK in",
			"did not ask"},
		{"PLAIN, cancelled", MechanismPlain, greeting + "C: ${tag} AUTHENTICATE PLAIN\nraw \"+ \\r\\n\"\nC: *\n" +
			"S: + bW9yZQ==\nC: *\nS: ${tag} OK in", "cancelled"},
		{"PLAIN at once, cancelled", MechanismPlain,
			sasl + "C: ${tag} AUTHENTICATE PLAIN *\nS: + bW9yZQ==\nC: *\nS: ${tag} OK in", "cancelled"},
		{"XOAUTH2 with an error", MechanismXOAuth2,
			sasl + "C: ${tag} AUTHENTICATE XOAUTH2 *\nS: + bW9yZQ==\nC: \nS: ${tag} OK in", "cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			server := testkit.Scripted(t, nil, c.script+"\nanswer-all\n")
			r := mustRun(t, Options{
				Targets: []Target{target(t, server.Addr())}, Users: someUsers(1), Profile: builtInProfile(t, "noop"),
				Mechanism: c.mechanism, Sessions: 1, Rate: 10, Duration: 300 * time.Millisecond, Timeout: time.Second,
			})
			got := r.errorsOf(KindProtocol)
			if !strings.Contains(strings.Join(got.Samples, "\n"), c.says) {
				t.Errorf("want %q\n%s\n%s", c.says, table(r), server.Transcript())
			}
			if row := r.rowOf("AUTHENTICATE"); row.Outcomes.Failed == 0 || row.Outcomes.Done > 0 {
				t.Errorf("AUTHENTICATE: %s", row.Outcomes)
			}
		})
	}
}

// TestTagsDoNotFollowTheSeed: the seed makes the work the same and leaves the tags to chance, unless that is fixed.
func TestTagsDoNotFollowTheSeed(t *testing.T) {
	said := func(chance string) (tags, work []string) {
		var lines bytes.Buffer
		l := &liar{answer: func(a *answer) {
			if a.isTagged() {
				fmt.Fprintf(&lines, "%s\n", a.heardLine())
			}
			a.pass()
		}}
		runLied(t, l, func(o *Options) {
			withProfile(t, "fetch")(o)
			o.Seed, o.RunID = 7, "t"
			if chance != "" {
				o.Random = strings.NewReader(strings.Repeat(chance, 32))
			}
		})
		for _, line := range strings.Split(lines.String(), "\n") {
			tag, rest, _ := strings.Cut(line, " ")
			if regexp.MustCompile(`^b\d+$`).MatchString(tag) {
				tags, work = append(tags, tag), append(work, rest)
			}
		}
		return tags, work
	}
	tagsA, workA := said("a")
	againA, _ := said("a")
	tagsB, workB := said("")
	if len(tagsA) < 100 || !slices.Equal(tagsA, againA) || slices.Equal(tagsA, tagsB) || !slices.Equal(workA, workB) {
		t.Errorf("tags %v, again %v, by chance %v\nwork %v and %v", tagsA[:3], againA[:3], tagsB[:3], workA[:3],
			workB[:3])
	}
}

// TestGuessedTags has a server answer each NOOP before it comes, with the tag that the seed would give.
func TestGuessedTags(t *testing.T) {
	const seed = 1
	guess := rand.New(rand.NewPCG(0, seed))
	next := uint64(0)
	var mu sync.Mutex // the liar has a goroutine for each connection
	more := func() string {
		mu.Lock()
		defer mu.Unlock()
		next += 1 + guess.Uint64N(tagStep)
		return string(appendTag(nil, next))
	}
	more() // that of LOGIN
	r := runLied(t, &liar{answer: func(a *answer) {
		switch {
		case a.isTagged() && a.to("LOGIN"):
			a.say(a.text + more() + " OK done\r\n")
		case a.isTagged() && a.to("NOOP"):
			a.say(more() + " OK done\r\n")
		default:
			a.pass()
		}
	}}, func(o *Options) { o.Seed = seed })
	if r.Fine() || r.errorsOf(KindTag).Count == 0 || r.Totals.Operations > 0 {
		t.Error(table(r))
	}
}
