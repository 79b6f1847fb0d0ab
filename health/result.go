package health

import (
	"time"
)

// ResultType is the outcome of a probe's run, with Exchange's codes and names.
type ResultType uint8

// The result types.
const (
	Timeout     ResultType = 1 + iota // it took longer than it may
	Poisoned                          // it panicked
	Succeeded                         // all is well
	Failed                            // something is not
	Quarantined                       // it was not run, since it has panicked too often
	Rejected                          // it was not run, since it was running, and somebody waited already
)

var resultTypes = [...]string{
	Timeout: "Timeout", Poisoned: "Poisoned", Succeeded: "Succeeded", Failed: "Failed", Quarantined: "Quarantined",
	Rejected: "Rejected",
}

// String returns Exchange's name.
func (t ResultType) String() string { return resultTypes[t] }

// Step is a part of a run.
type Step struct {
	Name string
	Took time.Duration
}

// Result is what a run of a probe has found. It does not change.
type Result struct {
	ID         uint64 // of all results, in order
	HealthSet  string
	Probe      string
	Target     string
	Type       ResultType
	Start, End time.Time
	Steps      []Step
	Err        string     // "" if it succeeded
	Dependency Dependency // who is to blame
	Phase      string     // in which it failed
	Sent       string     // the last line sent; what may be a secret is not in it
	Received   string     // the last line received
	Mailbox    string     // the mailbox server that has answered, or should have: _Mbx
	Value      float64    // of a check: the number that it has looked at
	Account    string     // the mailbox that it signed in to, "" if none
	Context    string     // what else is to be known: Exchange's ExecutionContext
	ByHand     bool       // it does not count for monitors
}

// Name is the result's: the probe's name, a slash, its target (docs/exchange.md).
func (r *Result) Name() string { return nameOf(r.Probe, r.Target) }

func nameOf(item, target string) string {
	if target == "" {
		return item
	}
	return item + "/" + target
}

// good says whether the result is one of health.
func (r *Result) good() bool { return r.Type == Succeeded }

// counts says whether the result counts for monitors. A probe that did not run has found nothing.
func (r *Result) counts() bool { return !r.ByHand && r.Type != Rejected }

// How many results a history keeps: failures for longer than successes.
const (
	keptGood = 20
	keptBad  = 60
)

// history is a probe's results, the latest last.
type history struct{ good, bad []*Result }

func (h *history) add(r *Result) {
	list, most := &h.bad, keptBad
	if r.good() {
		list, most = &h.good, keptGood
	}
	if *list = append(*list, r); len(*list) > most {
		(*list)[0] = nil
		*list = (*list)[1:]
	}
}

// all returns the results in order, the latest first.
func (h *history) all() []*Result {
	all := make([]*Result, 0, len(h.good)+len(h.bad))
	g, b := len(h.good), len(h.bad)
	for g+b > 0 {
		if b == 0 || g > 0 && h.good[g-1].ID > h.bad[b-1].ID {
			g--
			all = append(all, h.good[g])
		} else {
			b--
			all = append(all, h.bad[b])
		}
	}
	return all
}
