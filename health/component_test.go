package health

import (
	"errors"
	"slices"
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
		{Component: "Imap", Requester: "HealthAPI", State: "Active"},
		{Component: "ImapProxy", Requester: "Me", State: "Active"},
		{Component: "ImapProxy", Requester: "HealthAPI", State: "Off"},
	} {
		if _, err := bad.Known(); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "there are ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// Recovery can be off for one mailbox server. No other component has servers.
func TestComponentOfServer(t *testing.T) {
	var c Components
	off, err := Request{Component: "recoveryactionsenabled", Server: "mbx1", Requester: "Maintenance",
		State: "Inactive"}.Known()
	if err != nil {
		t.Fatal(err)
	}
	c.Set(off)
	want := func(node, mbx1, mbx2 string) {
		t.Helper()
		got := []string{c.State(ComponentRecoveryActions), c.StateOf(ComponentRecoveryActions, "mbx1"),
			c.StateOf(ComponentRecoveryActions, "mbx2")}
		if !slices.Equal(got, []string{node, mbx1, mbx2}) {
			t.Errorf("node, mbx1 and mbx2 are %s", got)
		}
	}
	want(Active, Inactive, Active)
	if c.State(ComponentImapProxy) != Active {
		t.Error("ImapProxy is Inactive")
	}
	i := slices.IndexFunc(c.States(), func(s ComponentState) bool { return s.Server == "mbx1" })
	if i < 0 || c.States()[i].State != Inactive || len(c.States()[i].Requests) != 1 || len(c.States()) != 5 {
		t.Errorf("%+v", c.States())
	}
	node := off
	node.Server = ""
	c.Set(node)
	want(Inactive, Inactive, Inactive)
	c.Drop(node)
	c.Drop(off)
	want(Active, Active, Active)
	if _, err := (Request{Component: "ImapProxy", Server: "mbx1", Requester: "Maintenance",
		State: "Inactive"}).Known(); err == nil {
		t.Error("ImapProxy of a mailbox server is taken")
	}
}
