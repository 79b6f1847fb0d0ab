package cli

import (
	"testing"
	"time"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/recovery"
)

// Next names the step, and says that people were told only when they were.
func TestNextStepOfRecovery(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	s := admin.RecoveryState{
		Tells: true,
		Steps: map[string][]recovery.Action{"ImapSelfTestMonitor": {recovery.RestartService, recovery.Failover,
			recovery.Escalate}},
		Records: []recovery.Record{{Monitor: "IMAP.Protocol/ImapSelfTestMonitor/mbx1", Start: since,
			Result: recovery.ResultSkipped}},
	}
	of := func(change func(*recovery.Ladder)) recovery.Ladder {
		l := recovery.Ladder{Case: recovery.Case{Monitor: "IMAP.Protocol/ImapSelfTestMonitor/mbx1"}, Since: since}
		change(&l)
		return l
	}
	told := of(func(l *recovery.Ladder) { l.Rung, l.ForPeople = 3, true })
	for _, c := range []struct {
		l     recovery.Ladder
		tells bool
		want  string
	}{
		{of(func(l *recovery.Ladder) { l.Rung = 1 }), true, "ServerFailover now"},
		{of(func(l *recovery.Ladder) { l.Begun = 7 }), true, "RestartService in progress"},
		{told, true, "no step left; an alert follows"},
		{told, false, "no step left; the alert is only in the log, because health.escalate is empty"},
		{of(func(l *recovery.Ladder) { l.Rung, l.ForPeople, l.Escalated = 3, true, true }), true, "alert sent"},
	} {
		s.Tells = c.tells
		if got := nextStep(s, c.l); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := stepsDone(s, told); got != "2 of 2, 0 done" {
		t.Error(got)
	}
	s.Active, s.Mode, s.Ladders = true, recovery.Act, []recovery.Ladder{told}
	if got := recoveryMode(s); got == "Recovery is in progress." {
		t.Error(got)
	}
	s.Ladders, s.Records = nil, []recovery.Record{{State: recovery.Started}}
	if got := recoveryMode(s); got != "Recovery is in progress." {
		t.Error(got)
	}
}

// A failover that is throttled says when it is allowed again, and how to move the users at once.
func TestThrottledFailoverIsExplained(t *testing.T) {
	r := recovery.Record{ID: recovery.Failover.ID(), Resource: "mbx1", Result: recovery.ResultThrottled,
		AllowedAgain: time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)}
	if got, want := allowedAgain(r), "allowed again at "+table.Time(r.AllowedAgain)+
		"; to move its databases now: portico server block mbx1 --move"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.AllowedAgain = time.Time{}
	if got, want := allowedAgain(r), "to move its databases now: portico server block mbx1 --move"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if r.Result = recovery.ResultSucceeded; allowedAgain(r) != "" {
		t.Error("a failover that was done is throttled")
	}
}
