package bench

import (
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// TestClean leaves mailboxes behind, beside others of similar names, and wants exactly those to go.
func TestClean(t *testing.T) {
	testkit.NoLeaks(t)
	users := someUsers(2)
	all := serverUsers(users)
	message := []byte("Subject: x\r\n\r\nx\r\n")
	for _, name := range []string{"bench-18ea0000000000aa-0", "bench-18ea0000000000aa-7-filed", "bench-notes",
		"bench-18ea0000000000aa", "other"} {
		all[1].Mail = append(all[1].Mail, backendtest.Mail{Mailbox: name, Message: message})
	}
	server, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: all})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Targets: []Target{target(t, testkit.Serve(t, server))}, Users: users,
		Profile: builtInProfile(t, "desktop"), Timeout: testkit.Patience}
	names := func(left []LeftBehind, removed bool) string {
		var names []string
		for _, l := range left {
			if l.User != "user2" || l.Removed != removed || l.Problem != "" {
				t.Errorf("%+v", l)
			}
			names = append(names, l.Mailbox)
		}
		return strings.Join(names, " ")
	}
	const want = "bench-18ea0000000000aa-0 bench-18ea0000000000aa-7-filed"
	for i, c := range []struct {
		listOnly bool
		want     string
	}{{true, want}, {false, want}, {true, ""}} {
		left, err := Clean(t.Context(), o, c.listOnly)
		if got := names(left, !c.listOnly); err != nil || got != c.want {
			t.Errorf("%d: %q, %v; want %q", i, got, err, c.want)
		}
	}
	o.Users = append(o.Users, User{Name: "nobody", Password: "secret"})
	if _, err := Clean(t.Context(), o, true); err == nil || !strings.Contains(err.Error(), "nobody") ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("a user who cannot sign in: %v", err)
	}
}

// TestMailboxThatStays: an OK to DELETE is not enough, neither for clean nor at the end of a run.
func TestMailboxThatStays(t *testing.T) {
	testkit.NoLeaks(t)
	server := testkit.Scripted(t, nil, signedIn+`C: ${tag} LIST "" "bench-*"
S: * LIST () "/" bench-18ea0000000000aa-1
S: ${tag} OK
C: ${tag} DELETE bench-18ea0000000000aa-1
S: ${tag} OK
C: ${tag} LIST "" "bench-18ea0000000000aa-1"
S: * LIST () "/" bench-18ea0000000000aa-1
S: ${tag} OK
answer-all
`)
	o := Options{Targets: []Target{target(t, server.Addr())}, Users: someUsers(1),
		Profile: builtInProfile(t, "desktop"), Timeout: testkit.Patience}
	left, err := Clean(t.Context(), o, false)
	if err != nil || len(left) != 1 || left[0].Removed || !strings.Contains(left[0].Problem, "LIST still shows") {
		t.Errorf("%+v, %v", left, err)
	}
	keep := &liar{}
	r := runLied(t, keep, func(o *Options) {
		o.Profile, o.RunID = builtInProfile(t, "fetch"), "5ea0000000000000"
		keep.answer = func(a *answer) {
			if a.isTagged() && a.to("LIST") {
				a.say("* LIST () \"/\" bench-5ea0000000000000-0\r\n")
			}
			a.pass()
		}
	})
	if got := r.errorsOf(KindRemains); got.Count != 1 || r.Fine() {
		t.Errorf("%+v\n%s", got, table(r))
	}
}

// TestCleanThatIsRefused wants to be told why a mailbox stays.
func TestCleanThatIsRefused(t *testing.T) {
	testkit.NoLeaks(t)
	server := testkit.Scripted(t, nil, signedIn+`C: ${tag} LIST "" "bench-*"
S: * LIST () "/" bench-18ea0000000000aa-1
S: ${tag} OK
C: ${tag} DELETE bench-18ea0000000000aa-1
S: ${tag} NO [INUSE] somebody has it open
answer-all
`)
	o := Options{Targets: []Target{target(t, server.Addr())}, Users: someUsers(1),
		Profile: builtInProfile(t, "desktop"), Timeout: testkit.Patience}
	left, err := Clean(t.Context(), o, false)
	if err != nil || len(left) != 1 || left[0].Removed || !strings.Contains(left[0].Problem, "[INUSE] somebody") {
		t.Errorf("%+v, %v", left, err)
	}
}
