package health

import (
	"context"
	"fmt"
	"time"

	"portico/backend"
)

// minProbeFailures is how many runs of ImapSelfTestProbe have to fail in the window to confirm what few users have
// met.
const minProbeFailures = 2

// SignIns checks whether users' sign-ins fail by the fault of a mailbox server.
type SignIns struct {
	Outcomes func(server string) backend.SigninSummary
	Percent  int // from which share on sign-ins are too many that fail
	Users    int // from how many users on that is no matter of single accounts
	// SelfTests lists the results of the server's ImapSelfTestProbe, the latest first. If that fails as often, one
	// user is enough.
	SelfTests func(server string) []*Result
	// Elsewhere says whether another mailbox server judges sign-ins now.
	Elsewhere func(server string) bool
}

// How many failures have to be missing before a fault is over: by chance that happens once in 150 times. While the
// server's own probe succeeds too, fewer are enough.
const (
	missingAll = 5
	missingFew = 2
)

// LatestWell says whether the latest users' sign-ins to a mailbox server have succeeded, so that the fault is over if
// the server's own probe says so too.
func LatestWell(t backend.SigninSummary) bool { return t.Missing() >= missingFew }

// Check returns the check of a mailbox server. It fails while sign-ins fail that are at most half a window old, unless
// enough have succeeded since, so a server that was restarted is well soon. If the server took some sign-ins and not
// others, failures count for the whole window while users come: half a minute without one is luck as likely as health.
func (s SignIns) Check(server string) func(context.Context, *Run) error {
	return func(_ context.Context, run *Run) error {
		t, now := s.Outcomes(server), run.now()
		run.Mailbox, run.Value = server, 100*t.Share
		if t.Failing == 0 || !s.tooMany(t.Share) || t.Missing() >= missingAll {
			return nil
		}
		recent := func(at time.Time) bool { return now.Sub(at) < backend.OutcomeWindow/2 }
		if !recent(t.Failed) && !(t.Mixed() && recent(t.Succeeded)) { // it was restarted, or nobody comes any more
			return nil
		}
		const what = "sign-ins of %d of %d users fail, %.0f %% on average in the last %v"
		found := fmt.Sprintf(what, t.Failing, t.Users, 100*t.Share, backend.OutcomeWindow)
		if t.Failing < s.Users && !s.confirmed(server, now) {
			run.Context = found + ": too few users to judge"
			return nil
		}
		d, phase := blame(t.Last)
		if d == Authentication && s.Elsewhere(server) {
			d = MailboxServerAuthentication
		}
		return &Failure{d, phase, fmt.Errorf("%s: %w", found, t.Last)}
	}
}

func (s SignIns) tooMany(share float64) bool { return 100*share >= float64(s.Percent) }

// confirmed says whether the server's own probe fails as often as users' sign-ins.
func (s SignIns) confirmed(server string, now time.Time) bool {
	runs, failed := 0, 0
	for _, r := range s.SelfTests(server) {
		if now.Sub(r.End) > backend.OutcomeWindow {
			break
		}
		if !r.counts() {
			continue
		}
		runs++
		if !r.good() && r.blamesServer() {
			failed++
		}
	}
	return failed >= minProbeFailures && s.tooMany(float64(failed)/float64(runs))
}
