package bench

import (
	"errors"
	"fmt"
	"strings"
)

// fate is what became of an operation, a command or a part of signing in. Each has exactly one, so the counts of all
// fates add up to what was due, sent or tried.
type fate uint8

const (
	fateDone       fate = iota // it ended well in the measured time
	fateDoneAfter              // it ended well in the grace behind the measured time
	fateRefused                // the answer was NO or BAD
	fateFailed                 // the answer was wrong, or the connection broke
	fateTimedOut               // no answer in time
	fateUnfinished             // no answer, and the run was over
	fateNeverBegun             // it was due, and the session could not begin it
	numFates
)

// good reports whether it ended well.
func (f fate) good() bool { return f <= fateDoneAfter }

// fateOf tells the fate from how something ended.
func fateOf(err error) fate {
	if err == nil {
		return fateDone
	}
	var f *failure
	if !errors.As(err, &f) {
		return fateFailed
	}
	switch f.kind {
	case KindTimeout:
		return fateTimedOut
	case KindUnfinished:
		return fateUnfinished
	case KindRefused, KindBad, KindSignIn:
		return fateRefused
	}
	return fateFailed
}

// Fates says what became of operations or commands: All is the sum of the others.
type Fates struct {
	All          uint64 `json:"all"`            // operations that were due, commands that were sent
	Done         uint64 `json:"done"`           // in the measured time; rates count these
	DoneAfterEnd uint64 `json:"done_after_end"` // in the grace behind it
	Refused      uint64 `json:"refused"`        // NO or BAD
	Failed       uint64 `json:"failed"`         // wrong answer, or the connection broke
	TimedOut     uint64 `json:"timed_out"`
	Unfinished   uint64 `json:"unfinished"`  // no answer until the run was over
	NeverBegun   uint64 `json:"never_begun"` // operations only
}

// fateCounts counts by fate.
type fateCounts [numFates]uint64

func (c *fateCounts) add(o fateCounts) {
	for i, n := range o {
		c[i] += n
	}
}

func (c fateCounts) fates() Fates {
	f := Fates{
		Done: c[fateDone], DoneAfterEnd: c[fateDoneAfter], Refused: c[fateRefused], Failed: c[fateFailed],
		TimedOut: c[fateTimedOut], Unfinished: c[fateUnfinished], NeverBegun: c[fateNeverBegun],
	}
	for _, n := range c {
		f.All += n
	}
	return f
}

// Bad is how many did not end well.
func (f Fates) Bad() uint64 { return f.All - f.Done - f.DoneAfterEnd }

// String names the fates that occurred, for example "990 done, 10 never begun".
func (f Fates) String() string {
	parts := []string{fmt.Sprintf("%d done", f.Done)}
	for _, part := range []struct {
		n    uint64
		text string
	}{
		{f.DoneAfterEnd, "done after the end"}, {f.Refused, "refused"}, {f.Failed, "failed"},
		{f.TimedOut, "timed out"},
		{f.Unfinished, "unfinished"}, {f.NeverBegun, "never begun"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return strings.Join(parts, ", ")
}
