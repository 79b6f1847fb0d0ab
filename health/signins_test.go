package health

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/health/catalogue"
)

// TestSignIns: users' failed sign-ins are a server's fault if they are many, recent, and of several users or confirmed
// by the server's own probe.
func TestSignIns(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	closed := &backend.Error{Kind: backend.KindClosed, Phase: backend.PhaseGreeting, Err: errors.New("EOF")}
	refused := &backend.Error{Kind: backend.KindRefused, Phase: backend.PhaseSignIn, Code: "UNAVAILABLE"}
	bad := func(at time.Time) *Result { return &Result{Type: Failed, Dependency: Networking, End: at} }
	good := func(at time.Time) *Result { return &Result{Type: Succeeded, End: at} }
	type summary = backend.SigninSummary
	for name, test := range map[string]struct {
		summary   summary
		selfTests []*Result
		elsewhere bool
		want      Dependency // None: it is well
		context   string
	}{
		"nobody":       {},
		"all are well": {summary: summary{Users: 50}},
		"half of some fails": {summary: summary{Users: 6, Failing: 3, Share: 0.3, Failed: ago(0), Last: closed},
			want: Networking},
		"a few of many fail": {summary: summary{Users: 100, Failing: 19, Share: 0.19, Failed: ago(0),
			Last: closed}},
		"it was restarted": {summary: summary{Users: 10, Failing: 9, Share: 0.5, Failed: ago(31 *
			time.Second),
			Last: closed}},
		"few succeed after the failures": {summary: summary{Users: 10, Failing: 9, Share: 0.5, Failed: ago(31 *
			time.Second), Last: closed, SignIns: 24, Failures: 10, Since: 4, Between: 2,
			Succeeded: ago(29 * time.Second)}, want: Networking},
		"few succeed after a restart": {summary: summary{Users: 10, Failing: 9, Share: 0.5, Failed: ago(31 *
			time.Second), Last: closed, SignIns: 24, Failures: 10, Since: 4, Between: 1,
			Succeeded: ago(0)}},
		"nobody comes any more": {summary: summary{Users: 10, Failing: 9, Share: 0.5, Failed: ago(31 *
			time.Second), Last: closed, SignIns: 20, Failures: 10, Since: 2,
			Between: 2, Succeeded: ago(30 * time.Second)}},
		"it is back since a few seconds": {summary: summary{Users: 10, Failing: 9, Share: 0.8, Failed: ago(5 *
			time.Second), Last: closed, SignIns: 47, Failures: 42, Since: 5}},
		"it may be back": {summary: summary{Users: 10, Failing: 9, Share: 0.8, Failed: ago(5 * time.Second),
			Last: closed, SignIns: 46, Failures: 42, Since: 4}, want: Networking},
		"a run of luck": {summary: summary{Users: 10, Failing: 9, Share: 0.5, Failed: ago(5 * time.Second),
			Last: closed, SignIns: 48, Failures: 20, Since: 8}, want: Networking},
		"one user fails": {summary: summary{Users: 2, Failing: 1, Share: 0.5, Failed: ago(0), Last: closed},
			context: "too few users"},
		"one user fails, and the probe": {
			summary: summary{Users: 2, Failing: 1, Share: 0.5, Failed: ago(0), Last: closed},
			selfTests: []*Result{bad(ago(time.Second)), good(ago(7 * time.Second)), bad(ago(13 * time.Second)),
				bad(ago(2 * time.Minute))}, want: Networking,
		},
		"one user fails, and the probe did long ago": {
			summary:   summary{Users: 2, Failing: 1, Share: 0.5, Failed: ago(0), Last: closed},
			selfTests: []*Result{bad(ago(time.Second)), bad(ago(2 * time.Minute)), bad(ago(3 * time.Minute))},
			context:   "too few users",
		},
		"one user fails, and a run by hand": {
			summary: summary{Users: 2, Failing: 1, Share: 0.5, Failed: ago(0), Last: closed},
			selfTests: []*Result{{Type: Failed, Dependency: Networking, End: now, ByHand: true},
				bad(ago(time.Second))}, context: "too few users",
		},
		"one user fails, and the health mailbox is refused": {
			summary: summary{Users: 2, Failing: 1, Share: 0.5, Failed: ago(0), Last: closed},
			selfTests: []*Result{{Type: Failed, Dependency: Authentication, End: now},
				{Type: Failed, Dependency: Authentication, End: now}},
			context: "too few users",
		},
		"users are refused here": {summary: summary{Users: 9, Failing: 9, Share: 1, Failed: ago(0),
			Last: refused}, elsewhere: true, want: MailboxServerAuthentication},
		"users are refused everywhere": {summary: summary{Users: 9, Failing: 9, Share: 1, Failed: ago(0),
			Last: refused}, want: Authentication},
	} {
		t.Run(name, func(t *testing.T) {
			signIns := SignIns{
				Percent: 20, Users: 3, Outcomes: func(string) backend.SigninSummary { return test.summary },
				SelfTests: func(string) []*Result { return test.selfTests },
				Elsewhere: func(string) bool { return test.elsewhere },
			}
			p := Probe{Name: catalogue.ProxyConnectionsFailedGt20PercentCheck, Target: "mbx1",
				Run: signIns.Check("mbx1")}
			r := p.execute(context.Background(), time.Minute, func() time.Time { return now }, new(Run))
			if r.Dependency != test.want || r.good() != (test.want == None) || r.Mailbox != "mbx1" ||
				!strings.Contains(r.Context, test.context) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestFailingSignInsAreEvidence: nothing moves to a mailbox server at which users' sign-ins fail, even if its own
// probe succeeds.
func TestFailingSignInsAreEvidence(t *testing.T) {
	self := MonitorState{
		Monitor: Monitor{Name: catalogue.ImapSelfTestMonitor, Target: "mbx1", Failures: 3}, Value: Healthy,
		LastSuccess: time.Now()}
	users := MonitorState{
		Monitor: Monitor{HealthSet: catalogue.SetIMAP, Name: catalogue.ProxyConnectionsFailedGt20PercentMonitor,
			Target: "mbx1", Failures: 6},
		Value:       Healthy,
		LastFailure: &Result{Dependency: Networking, Err: "they fail"},
	}
	all := []MonitorState{self, users}
	if ServerFails("mbx1", all) != nil || !ServerWorks("mbx1", all) {
		t.Error("the server is Healthy, but does not work")
	}
	all[1].InRow = all[1].Failures / 2
	const want = "IMAP/ProxyConnectionsFailedGt20PercentMonitor/mbx1 fails: they fail"
	if err := ServerFails("mbx1", all); err == nil || err.Error() != want || ServerWorks("mbx1", all) {
		t.Errorf("sign-ins fail, but the server works: %v", err)
	}
	if err := ServerFails("mbx2", all); err != nil {
		t.Errorf("another server: %v", err)
	}
}
