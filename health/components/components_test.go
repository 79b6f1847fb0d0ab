package components

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
	"portico/health"
)

const prefix = "health/components/"

func open(t *testing.T, kept store.Store, o Options) *Set {
	t.Helper()
	o.Stored = store.SetOf[Request](kept, prefix)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(t *testing.T, s *Set, r Request) {
	t.Helper()
	if _, err := s.Ask(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// drop ends a request, as if its time were over.
func drop(t *testing.T, s *Set, r Request) {
	t.Helper()
	r.Until = time.Now()
	ask(t, s, r)
	if err := s.End(t.Context(), r.Until); err != nil {
		t.Fatal(err)
	}
}

// Any Inactive wins, and only who has asked for it can lift it.
func TestComponents(t *testing.T) {
	c := open(t, store.Memory(), Options{})
	set := func(component, requester, state string) {
		t.Helper()
		r, err := Request{Component: component, Requester: requester, State: state}.Known()
		if err != nil {
			t.Fatal(err)
		}
		ask(t, c, r)
	}
	want := func(imapProxy, monitoring string) {
		t.Helper()
		if got := c.State(ImapProxy) + " " + c.State(Monitoring); got != imapProxy+" "+monitoring {
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
	if s := c.States()[0]; s.Component != ImapProxy || len(s.Requests) != 3 {
		t.Errorf("%+v", s)
	}
	set("ServerWideOffline", "Maintenance", "Active")
	want(Active, Active)
	for _, bad := range []Request{
		{Component: "Imap", Requester: "HealthAPI", State: "Active"},
		{Component: "ImapProxy", Requester: "Me", State: "Active"},
		{Component: "ImapProxy", Requester: "HealthAPI", State: "Off"},
	} {
		if _, err := bad.Known(); !errors.Is(err, health.ErrUnknown) || !strings.Contains(err.Error(), "there are ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// Recovery can be off for one mailbox server. No other component has servers.
func TestComponentOfServer(t *testing.T) {
	c := open(t, store.Memory(), Options{})
	off, err := Request{Component: "recoveryactionsenabled", Server: "mbx1", Requester: "Maintenance",
		State: "Inactive"}.Known()
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, off)
	want := func(node, mbx1, mbx2 string) {
		t.Helper()
		got := []string{c.State(RecoveryActions), c.StateOf(RecoveryActions, "mbx1"),
			c.StateOf(RecoveryActions, "mbx2")}
		if !slices.Equal(got, []string{node, mbx1, mbx2}) {
			t.Errorf("node, mbx1 and mbx2 are %s", got)
		}
	}
	want(Active, Inactive, Active)
	if c.State(ImapProxy) != Active {
		t.Error("ImapProxy is Inactive")
	}
	i := slices.IndexFunc(c.States(), func(s State) bool { return s.Server == "mbx1" })
	if i < 0 || c.States()[i].State != Inactive || len(c.States()[i].Requests) != 1 || len(c.States()) != 5 {
		t.Errorf("%+v", c.States())
	}
	node := off
	node.Server = ""
	ask(t, c, node)
	want(Inactive, Inactive, Inactive)
	drop(t, c, node)
	drop(t, c, off)
	want(Active, Active, Active)
	if _, err := (Request{Component: "ImapProxy", Server: "mbx1", Requester: "Maintenance",
		State: "Inactive"}).Known(); err == nil {
		t.Error("ImapProxy of a mailbox server is taken")
	}
}

// A request that another writer stores, changes or deletes takes effect, and so does the end of a request's time. All
// of it survives a restart.
func TestFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		changes, ended := 0, 0
		s := open(t, kept, Options{Changed: func() { changes++ }, Ended: func(Request) { ended++ }})
		go s.Run(t.Context())
		synctest.Wait()
		want := func(state string, n int) {
			t.Helper()
			synctest.Wait()
			if got := s.State(ImapProxy); got != state || changes != n {
				t.Errorf("ImapProxy is %s after %d changes, want %s after %d", got, changes, state, n)
			}
		}
		want(Active, 0)
		r := Request{Component: ImapProxy, Requester: "Maintenance", State: Inactive}
		other := open(t, kept, Options{})
		ask(t, other, r)
		want(Inactive, 1)
		r.State = Active
		ask(t, other, r)
		want(Active, 2)
		r.State, r.Until = Inactive, time.Now().Add(time.Minute)
		ask(t, s, r)
		want(Inactive, 3) // by this one: told once
		if again := open(t, kept, Options{}); again.State(ImapProxy) != Inactive {
			t.Error("a restart has forgotten the request")
		}
		time.Sleep(time.Minute + endEach)
		want(Active, 4)
		if left, err := kept.List(t.Context(), prefix); err != nil || len(left) != 0 || ended != 1 {
			t.Errorf("%d requests have ended, stored are %v, %v", ended, left, err)
		}
	})
}

// stubborn is a store in which one key cannot be deleted.
type stubborn struct {
	store.Store
	key string
}

func (s stubborn) Delete(ctx context.Context, key string, revision uint64) error {
	if key == s.key {
		return errors.New("disk full")
	}
	return s.Store.Delete(ctx, key, revision)
}

// A request that cannot be deleted when its time is over holds up no other.
func TestEndOfSeveral(t *testing.T) {
	r := Request{Component: ImapProxy, Requester: "Maintenance", State: Inactive, Until: time.Now()}
	other := Request{Component: Monitoring, Requester: "Maintenance", State: Inactive, Until: r.Until}
	c := open(t, stubborn{store.Memory(), prefix + r.Key()}, Options{})
	ask(t, c, r)
	ask(t, c, other)
	if err := c.End(t.Context(), r.Until); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Error(err)
	}
	if got := c.State(ImapProxy) + " " + c.State(Monitoring); got != Inactive+" "+Active {
		t.Errorf("ImapProxy and Monitoring are %s", got)
	}
}
