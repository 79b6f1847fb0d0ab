package health

import (
	"errors"
	"strings"
	"testing"
)

// Any Inactive wins, and only who has asked for it can lift it.
func TestComponents(t *testing.T) {
	var c Components
	set := func(component, requester, state string) {
		t.Helper()
		r, err := Request{Component: component, Requester: requester, State: state}.Known()
		if err != nil {
			t.Fatal(err)
		}
		c.Set(r)
	}
	want := func(imapProxy, monitoring string) {
		t.Helper()
		if got := c.State(ComponentImapProxy) + " " + c.State(ComponentMonitoring); got != imapProxy+" "+monitoring {
			t.Errorf("ImapProxy and Monitoring are %s", got)
		}
	}
	want(Active, Active)
	set("imapproxy", "healthapi", "inactive")
	set("ImapProxy", "Maintenance", "Active")
	want(Inactive, Active)
	set("ServerWideOffline", "Maintenance", "Inactive")
	want(Inactive, Inactive)
	set("ImapProxy", "HealthAPI", "Active")
	want(Inactive, Inactive)
	set("ServerWideOffline", "Functional", "Active")
	want(Inactive, Inactive)
	if s := c.States()[0]; s.Component != ComponentImapProxy || len(s.Requests) != 3 {
		t.Errorf("%+v", s)
	}
	set("ServerWideOffline", "Maintenance", "Active")
	want(Active, Active)
	for _, bad := range []Request{
		{Component: "Imap", Requester: "HealthAPI", State: "Active"}, {Component: "ImapProxy", Requester: "Me", State: "Active"},
		{Component: "ImapProxy", Requester: "HealthAPI", State: "Off"},
	} {
		if _, err := bad.Known(); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "there are ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
