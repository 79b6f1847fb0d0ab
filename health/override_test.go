package health

import (
	"errors"
	"strings"
	"testing"
	"time"

	"portico/health/catalogue"
)

func overridden() Plan {
	var p Plan
	for _, target := range []string{"mbx1", "mbx2"} {
		p.Probes = append(p.Probes,
			&Probe{HealthSet: catalogue.SetProtocol, Name: catalogue.ImapSelfTestProbe, Target: target,
				Interval: time.Minute, Timeout: 20 * time.Second})
		p.Monitors = append(p.Monitors,
			Monitor{HealthSet: catalogue.SetProtocol, Name: catalogue.ImapSelfTestMonitor, Target: target,
				Probe: catalogue.ImapSelfTestProbe, Failures: 3})
	}
	return p
}

func TestOverrides(t *testing.T) {
	now := time.Now()
	of := func(kind, identity, property, value string) Override {
		return Override{ItemType: kind, Identity: identity, Property: property, Value: value, Created: now}
	}
	p := overridden()
	changed := p.With([]Override{
		of(ItemProbe, "IMAP.Protocol/ImapSelfTestProbe/mbx2", "RecurrenceIntervalSeconds", "5"),
		of(ItemProbe, "IMAP.Protocol/ImapSelfTestProbe", "RecurrenceIntervalSeconds", "10"), // the target's beats it
		of(ItemProbe, "IMAP.Protocol/ImapSelfTestProbe", "TimeoutSeconds", "7"),
		of(ItemMonitor, "IMAP.Protocol/ImapSelfTestMonitor/mbx1", "MonitoringThreshold", "9"),
		of(ItemMonitor, "IMAP.Protocol/ImapSelfTestMonitor/mbx2", "Enabled", "$false"),
		{ItemType: ItemProbe, Identity: "IMAP.Protocol/ImapSelfTestProbe/mbx1", Property: "Enabled", Value: "0",
			Until: now},
		{ItemType: ItemProbe, Identity: "IMAP.Protocol/ImapSelfTestProbe/mbx1", Property: "Enabled", Value: "0",
			Version: "other"},
		of(ItemProbe, "IMAP.Protocol/Gone", "Enabled", "0"),
	}, now, "this")
	if a, b := changed.Probes[0], changed.Probes[1]; a.Interval != 10*time.Second || b.Interval != 5*time.Second ||
		a.Timeout != 7*time.Second {
		t.Errorf("probes %+v, %+v", a, b)
	}
	if a, b := changed.Monitors[0], changed.Monitors[1]; a.Failures != 9 || a.Off || !b.Off {
		t.Errorf("monitors %+v, %+v", a, b)
	}
	if p.Probes[0].Interval != time.Minute || p.Monitors[0].Failures != 3 {
		t.Error("the plan itself has changed")
	}
	slow := p
	slow.Monitors = []Monitor{p.Monitors[0]}
	slow.Monitors[0].StaleAfter = StaleAfter(time.Minute, 20*time.Second)
	slow = slow.With([]Override{of(ItemProbe, "IMAP.Protocol/ImapSelfTestProbe", "RecurrenceIntervalSeconds", "3600")},
		now, "this")
	if got := slow.Monitors[0].StaleAfter; got != 3*time.Hour+20*time.Second {
		t.Errorf("a probe that runs each hour is missed after %v", got)
	}
	off := p.With([]Override{of(ItemProbe, "IMAP.Protocol/ImapSelfTestProbe/mbx1", "Enabled", "0")}, now, "this")
	if len(off.Probes) != 1 || !off.Monitors[0].Off || off.Monitors[1].Off {
		t.Errorf("without a probe: %+v", off)
	}
	e := NewEngine(Options{})
	e.Use(off)
	if got := states(e); got != "ImapSelfTestMonitor/mbx1 Disabled, ImapSelfTestMonitor/mbx2 UnInitialized" {
		t.Errorf("states are %s", got)
	}
}

// Enabled takes 1 and 0, and PowerShell's names of them.
func TestSwitchesByName(t *testing.T) {
	for value, off := range map[string]bool{"1": false, "$true": false, "$True": false, "true": false, "0": true,
		"$false": true, "False": true} {
		p := overridden()
		p.Monitors[0].Off = !off
		o := Override{ItemType: ItemMonitor, Identity: "IMAP.Protocol/ImapSelfTestMonitor/mbx1", Property: "Enabled",
			Value: value}
		if err := p.Check(o); err != nil {
			t.Errorf("%s: %v", value, err)
		}
		if got := p.With([]Override{o}, time.Now(), "this").Monitors[0].Off; got != off {
			t.Errorf("%s: off is %v", value, got)
		}
	}
}

func TestBadOverrides(t *testing.T) {
	p := overridden()
	for _, test := range []struct{ kind, identity, property, value, want string }{
		{"Probe", "IMAP.Protocol/ImapSelfTestProbe", "Enabled", "0", ""},
		{"Probe", "IMAP.Protocol/ImapSelfTestProbe", "Enabled", "1", ""},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "Enabled", "1", ""},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "UnhealthySeconds", "1", ""},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "UnhealthySeconds", "86400", ""}, // a day
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "UnhealthySeconds", "86401", "from 0 to 86400"},
		{"Probe", "IMAP.Protocol/ImapSelfTestProbe/mbx1", "TimeoutSeconds", "5", ""},
		{"Probe", "imap.protocol/imapselftestprobe", "Enabled", "0", "did you mean IMAP.Protocol/ImapSelfTestProbe?"},
		{"Probe", "IMAP.Protocol/ImapSelfTestProbe/mbx3", "Enabled", "0",
			`there is no probe "IMAP.Protocol/ImapSelfTestProbe/mbx3"`},
		{"Probe", "ImapSelfTestProbe/mbx1", "Enabled", "0", "did you mean IMAP.Protocol/ImapSelfTestProbe/mbx1?"},
		{"Probe", "IMAP.Protocol/ImapSelfTestMonitor/mbx1", "Enabled", "0",
			`there is no probe "IMAP.Protocol/ImapSelfTestMonitor/mbx1"`},
		{"Probe", "POP/X", "Enabled", "0", `there is no probe "POP/X"`},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "Interval", "5",
			"it has Enabled, MonitoringThreshold, UnhealthySeconds"},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "MonitoringThreshold", "0", "cannot be 0"},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "MonitoringThreshold", "99999999", "is not a number from 0"},
		{"Monitor", "IMAP.Protocol/ImapSelfTestMonitor", "Enabled", "2", "Enabled must be 0 or 1"},
		{"Responder", "IMAP.Protocol/X", "Enabled", "0", "an item must be a Probe or a Monitor"},
	} {
		err := p.Check(Override{ItemType: test.kind, Identity: test.identity, Property: test.property,
			Value: test.value})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s %s=%s: %v", test.kind, test.identity, test.property, test.value, err)
		}
		if strings.Contains(test.want, "did you mean") && !errors.Is(err, ErrUnknown) {
			t.Errorf("%v is not ErrUnknown", err)
		}
	}
}

// A probe that is repeated more slowly is silent for longer before its monitor is Unavailable. A monitor that does not
// mind silence stays so.
func TestOverriddenSilence(t *testing.T) {
	p := overridden()
	p.Monitors[0].StaleAfter = StaleAfter(p.Probes[0].Interval, p.Probes[0].Timeout)
	changed := p.With([]Override{{
		ItemType: ItemProbe, Identity: "IMAP.Protocol/ImapSelfTestProbe", Property: "RecurrenceIntervalSeconds",
		Value: "600",
	}}, time.Now(), "")
	if got := changed.Monitors[0].StaleAfter; got != 30*time.Minute+20*time.Second {
		t.Errorf("a probe each 10 minutes may be silent for %v", got)
	}
	if got := changed.Monitors[1].StaleAfter; got != 0 {
		t.Errorf("a monitor that does not mind silence minds it after %v", got)
	}
}

// What a run by hand takes for itself alone: its own time-out, and whether it writes. What has no meaning for one run
// is refused.
func TestPropertiesOfARun(t *testing.T) {
	var by ByHand
	if err := by.Override(map[string]string{"TimeoutSeconds": "7", "Write": "$false"}); err != nil ||
		by.Timeout != 7*time.Second || !by.ReadOnly {
		t.Errorf("%v: %+v", err, by)
	}
	for property, value := range map[string]string{"RecurrenceIntervalSeconds": "1", "TimeoutSeconds": "0",
		"Write": "2", "timeoutseconds": "1", "": ""} {
		if err := new(ByHand).Override(map[string]string{property: value}); err == nil {
			t.Errorf("%s=%s is taken", property, value)
		}
	}
}
