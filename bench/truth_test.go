package bench

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// before reports whether the answer came that early.
func (a *answer) before(d time.Duration) bool { return a.at < d }

// withTimeout makes commands time out after d.
func withTimeout(d time.Duration) func(*Options) { return func(o *Options) { o.Timeout = d } }

// withProfile takes another profile, with mail that is small.
func withProfile(t *testing.T, name string) func(*Options) {
	return func(o *Options) {
		o.Profile = small(builtInProfile(t, name))
		o.Timeout = 2 * time.Second
	}
}

// truth is what a report must say of a server.
type truth struct {
	name     string
	liar     *liar
	change   func(*Options)
	outcomes string // of operations; "" leaves it open
	kind     Kind   // of an error; numKinds is none at all
	says     string // in an example of it
}

// TestTruth has a proxy fool the tool in one way each, and wants the report to say so.
func TestTruth(t *testing.T) {
	for _, c := range slices.Concat(truths(t), endTruths(t), mailboxTruths(t), formTruths()) {
		t.Run(c.name, func(t *testing.T) {
			r := runLied(t, c.liar, c.change)
			checkSums(t, r)
			if got := r.Totals.OperationOutcomes.String(); c.outcomes != "" && got != c.outcomes {
				t.Errorf("operations: %s; want %s", got, c.outcomes)
			}
			if fine := c.kind == numKinds; r.Fine() != fine || strings.Contains(table(r), "\nno errors\n") != fine {
				t.Errorf("fine: %v, want %v", r.Fine(), fine)
			}
			if c.kind < numKinds {
				if got := r.errorsOf(c.kind); got.Count == 0 ||
					!strings.Contains(strings.Join(got.Samples, "\n"), c.says) {
					t.Errorf("no error %s that says %q", c.kind, c.says)
				}
			}
			if t.Failed() {
				t.Log(table(r))
			}
		})
	}
}

// checkSums wants the numbers of a report to add up.
func checkSums(t *testing.T, r *Report) {
	t.Helper()
	sum := func(o Outcomes) uint64 {
		return o.Done + o.DoneAfterEnd + o.Refused + o.Failed + o.TimedOut + o.Unfinished + o.NeverBegun
	}
	var commands, operations, errors uint64
	for _, row := range r.Rows {
		if row.Count != row.Outcomes.All || row.Errors < row.Outcomes.Bad() || sum(row.Outcomes) != row.Outcomes.All {
			t.Errorf("%s does not add up: %+v", row.Name, row)
		}
		switch {
		case row.Command:
			commands += row.Count - row.Before
		case strings.HasSuffix(row.Name, ", whole"):
			operations += row.Count
		}
	}
	for _, kind := range r.Errors {
		errors += kind.Count
	}
	totals := &r.Totals
	if commands != totals.CommandOutcomes.All || sum(totals.CommandOutcomes) != commands ||
		totals.Commands != totals.CommandOutcomes.Done {
		t.Errorf("%d commands in rows, and in all %+v", commands, totals)
	}
	if operations != totals.OperationOutcomes.All || sum(totals.OperationOutcomes) != operations ||
		totals.Operations != totals.OperationOutcomes.Done {
		t.Errorf("%d operations in rows, and in all %+v", operations, totals)
	}
	if errors != totals.Errors || errors < totals.OperationOutcomes.Bad() && totals.OperationOutcomes.Failed == 0 {
		t.Errorf("%d errors by kind, and in all %+v", errors, totals)
	}
	if due := uint64(r.Setup.Rate*r.Seconds + 0.5); !r.Setup.Closed && operations != due {
		t.Errorf("%d operations have an outcome, and %d were due", operations, due)
	}
	var encoded bytes.Buffer
	if err := r.WriteJSON(&encoded); err != nil {
		t.Fatal(err)
	}
	var decoded Report
	if err := json.Unmarshal(encoded.Bytes(), &decoded); err != nil || decoded.Totals != r.Totals {
		t.Errorf("JSON: %v, %+v, want %+v", err, decoded.Totals, r.Totals)
	}
}

func truths(t *testing.T) []truth {
	const none = numKinds
	answers := func(do func(a *answer)) *liar { return &liar{answer: do} }
	return []truth{
		{"honest", &liar{}, nil, "100 done", none, ""},
		{"honest, closed loop", &liar{answer: func(a *answer) { time.Sleep(time.Second); a.pass() }},
			func(o *Options) {
				o.Closed, o.Rate, o.Duration = true, 0, 10500*time.Millisecond
			}, "10 done, 1 done after the end", none, ""},
		{"adds 50 ms", answers(func(a *answer) { time.Sleep(50 * time.Millisecond); a.pass() }), nil,
			"100 done", none, ""},
		{"freezes for 2 s", answers(func(a *answer) {
			if a.at > 4*time.Second && a.at < 6*time.Second {
				time.Sleep(6*time.Second - a.at)
			}
			a.pass()
		}), nil, "100 done", none, ""},
		{"dead from the second second", answers(func(a *answer) {
			if a.before(1950 * time.Millisecond) {
				a.pass()
			}
		}), nil, "20 done, 1 unfinished, 79 never begun", KindUnfinished, "the run was over"},
		{"dead from the second second, short time-out", answers(func(a *answer) {
			if a.before(1950 * time.Millisecond) {
				a.pass()
			}
		}), withTimeout(time.Second), "", KindTimeout, "no answer in time"},
		{"back behind the end", answers(func(a *answer) {
			if a.at > 1950*time.Millisecond && a.at < 12*time.Second {
				time.Sleep(12*time.Second - a.at)
			}
			a.pass()
		}), nil, "20 done, 30 done after the end, 1 unfinished, 49 never begun", KindNeverBegun, "due for"},
		{"never greets", answers(func(*answer) {}), nil, "0 done, 100 never begun", KindUnfinished, "connect"},
		{"never greets, closed loop", answers(func(*answer) {}), func(o *Options) { o.Closed, o.Rate = true, 0 },
			"0 done", KindUnfinished, "connect"},
		{"loses one answer", answers(func(a *answer) {
			if !a.isOf(30) {
				a.pass()
			}
		}), nil, "28 done, 1 unfinished, 71 never begun", KindUnfinished, "NOOP"},
		{"loses one answer, short time-out", answers(func(a *answer) {
			if a.conn > 1 || !a.isOf(30) {
				a.pass()
			}
		}), withTimeout(time.Second), "99 done, 1 timed out", KindTimeout, "NOOP"},
		{"still working, for ever", answers(func(a *answer) {
			if !a.isOf(2) {
				a.pass()
				return
			}
			for range 60 {
				time.Sleep(500 * time.Millisecond)
				a.say("* OK still working\r\n")
			}
		}), withTimeout(2 * time.Second), "", KindTimeout, "NOOP"},
		{"EXISTS without end", answers(func(a *answer) {
			if !a.isOf(2) {
				a.pass()
				return
			}
			a.say(strings.Repeat("* 4 EXISTS\r\n", 2*maxUntagged))
		}), nil, "", KindProtocol, "untagged responses"},
		{"a byte a second", answers(func(a *answer) {
			if !a.isOf(2) {
				a.pass()
				return
			}
			for _, b := range a.text {
				time.Sleep(time.Second)
				a.say(string(b))
			}
		}), withTimeout(3 * time.Second), "", KindTimeout, "NOOP"},
		{"a greeting by a byte a second", answers(func(a *answer) {
			for _, b := range a.text {
				time.Sleep(time.Second)
				a.say(string(b))
			}
		}), withTimeout(3 * time.Second), "0 done, 100 never begun", KindTimeout, "connect"},
		{"another tag", answers(func(a *answer) {
			if a.isOf(9) {
				a.text = "b1" + a.text
			}
			a.pass()
		}), nil, "", KindTag, "no open command"},
		{"answers before the command", answers(func(a *answer) {
			a.pass()
			if a.isOf(9) {
				n, _ := number([]byte(a.hasTag()[1:]))
				a.say(string(tagPrefix) + strconv.FormatUint(n+1, 10) + " OK NOOP completed\r\n")
			}
		}), nil, "", KindTag, "no open command"},
		{"repeats an answer", answers(func(a *answer) {
			a.pass()
			if a.isOf(9) {
				a.pass()
			}
		}), nil, "", KindTag, "no open command"},
		{"NO to everything", answers(func(a *answer) {
			if a.isTagged() && a.tagged > 1 {
				a.text = a.hasTag() + " NO later\r\n"
			}
			a.pass()
		}), nil, "0 done, 100 refused", KindRefused, "later"},
		{"BAD to every tenth", answers(func(a *answer) {
			if a.isTagged() && a.tagged%10 == 0 {
				a.text = a.hasTag() + " BAD what\r\n"
			}
			a.pass()
		}), nil, "90 done, 10 refused", KindBad, "what"},
		{"closes behind the greeting", answers(func(a *answer) { a.pass(); a.close() }), nil,
			"0 done, 100 never begun", KindDropped, "LOGIN"},
		{"cuts a line", answers(func(a *answer) {
			if a.isOf(9) {
				a.say(a.text[:4])
				a.close()
				return
			}
			a.pass()
		}), nil, "", KindDropped, "NOOP"},
		{"refuses every tenth connection", &liar{refuse: func(n int) bool { return n%10 == 0 }}, func(o *Options) {
			o.Profile, o.Rate = builtInProfile(t, "storm"), 2
		}, "18 done, 2 failed", KindConnect, "refused"},
		{"dies while sessions idle", answers(func(a *answer) {
			if a.before(1950 * time.Millisecond) {
				a.pass()
			}
		}), func(o *Options) { o.Rate = 0.1 }, "1 done", KindDropped, "LOGOUT"},
		{"half a literal, then nothing", answers(func(a *answer) {
			if a.literal {
				a.say(a.text[:len(a.text)/2])
				*a.mute = true
				return
			}
			a.pass()
		}), withProfile(t, "fetch"), "", KindTimeout, "UID FETCH body"},
		{"half a literal, then the end", answers(func(a *answer) {
			if a.literal {
				a.say(a.text[:len(a.text)/2])
				a.close()
				return
			}
			a.pass()
		}), withProfile(t, "fetch"), "", KindDropped, "UID FETCH body"},
		{"changes a byte", answers(func(a *answer) {
			if a.literal {
				a.text = a.text[:100] + "?" + a.text[101:]
			}
			a.pass()
		}), withProfile(t, "fetch"), "0 done, 100 failed", KindChecksum, "checksum"},
		{"other size", answers(func(a *answer) {
			a.text = strings.Replace(a.text, "RFC822.SIZE ", "RFC822.SIZE 1", 1)
			a.pass()
		}), withProfile(t, "fetch"), "", KindLiteral, "bytes, want"},
		{"another message", answers(func(a *answer) {
			if a.contains("BODY[") {
				a.text = strings.Replace(a.text, "UID ", "UID 1", 1)
			}
			a.pass()
		}), withProfile(t, "fetch"), "0 done, 100 failed", KindUID, "not asked for"},
		{"no data", answers(func(a *answer) {
			if !a.literal && !a.contains("BODY[") && strings.TrimSpace(a.text) != ")" {
				a.pass()
			}
		}), withProfile(t, "fetch"), "0 done, 100 failed", KindMissing, "did not come"},
		{"no news in IDLE", answers(func(a *answer) {
			if !a.contains("EXISTS") || a.tagged < 5 {
				a.pass()
			}
		}), func(o *Options) { withProfile(t, "phone")(o); o.Rate = 1 }, "", KindTimeout, "wake-up"},
	}
}
