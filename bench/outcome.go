package bench

import (
	"errors"
	"fmt"
	"strings"
)

// outcome says how an operation, a command or a part of signing in ended. Each has exactly one outcome. So the counts
// of all outcomes add up to what was due, sent or tried.
type outcome uint8

const (
	outcomeDone       outcome = iota // it ended well in the measured time
	outcomeDoneAfter                 // it ended well in the grace after the measured time
	outcomeRefused                   // the answer was NO or BAD
	outcomeFailed                    // the answer was wrong, or the connection broke
	outcomeTimedOut                  // no answer in time
	outcomeUnfinished                // no answer, and the run was over
	outcomeNeverBegun                // it was due, and the session could not begin it
	numOutcomes
)

// good reports whether it ended well.
func (o outcome) good() bool { return o <= outcomeDoneAfter }

// outcomeOf returns the outcome of something that ended with err.
func outcomeOf(err error) outcome {
	if err == nil {
		return outcomeDone
	}
	var f *failure
	if !errors.As(err, &f) {
		return outcomeFailed
	}
	switch f.kind {
	case KindTimeout:
		return outcomeTimedOut
	case KindUnfinished:
		return outcomeUnfinished
	case KindRefused, KindBad, KindSignIn:
		return outcomeRefused
	}
	return outcomeFailed
}

// Outcomes counts operations or commands by outcome. All is the sum of the others.
type Outcomes struct {
	All          uint64 `json:"all"`            // operations that were due, commands that were sent
	Done         uint64 `json:"done"`           // in the measured time; rates count these
	DoneAfterEnd uint64 `json:"done_after_end"` // in the grace after it
	Refused      uint64 `json:"refused"`        // NO or BAD
	Failed       uint64 `json:"failed"`         // wrong answer, or the connection broke
	TimedOut     uint64 `json:"timed_out"`
	Unfinished   uint64 `json:"unfinished"`  // no answer until the run was over
	NeverBegun   uint64 `json:"never_begun"` // operations only
}

// outcomeCounts counts by outcome.
type outcomeCounts [numOutcomes]uint64

func (c *outcomeCounts) add(o outcomeCounts) {
	for i, n := range o {
		c[i] += n
	}
}

// sum returns the counts with their sum.
func (c outcomeCounts) sum() Outcomes {
	o := Outcomes{
		Done: c[outcomeDone], DoneAfterEnd: c[outcomeDoneAfter], Refused: c[outcomeRefused], Failed: c[outcomeFailed],
		TimedOut: c[outcomeTimedOut], Unfinished: c[outcomeUnfinished], NeverBegun: c[outcomeNeverBegun],
	}
	for _, n := range c {
		o.All += n
	}
	return o
}

// Plus returns the sums of two counts.
func (o Outcomes) Plus(p Outcomes) Outcomes {
	return Outcomes{
		All: o.All + p.All, Done: o.Done + p.Done, DoneAfterEnd: o.DoneAfterEnd + p.DoneAfterEnd,
		Refused: o.Refused + p.Refused, Failed: o.Failed + p.Failed, TimedOut: o.TimedOut + p.TimedOut,
		Unfinished: o.Unfinished + p.Unfinished, NeverBegun: o.NeverBegun + p.NeverBegun,
	}
}

// Bad returns how many did not end well.
func (o Outcomes) Bad() uint64 { return o.All - o.Done - o.DoneAfterEnd }

// String names the outcomes that occurred, for example "990 done, 10 never begun".
func (o Outcomes) String() string {
	parts := []string{fmt.Sprintf("%d done", o.Done)}
	for _, part := range []struct {
		n    uint64
		text string
	}{
		{o.DoneAfterEnd, "done after the end"}, {o.Refused, "refused"}, {o.Failed, "failed"},
		{o.TimedOut, "timed out"},
		{o.Unfinished, "unfinished"}, {o.NeverBegun, "never begun"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return strings.Join(parts, ", ")
}
