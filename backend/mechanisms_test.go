package backend

import (
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/configs/store"
	"portico/proxy/wire"
)

func TestOffer(t *testing.T) {
	for offers, want := range map[string]string{
		"":                         "PLAIN LOGIN", // by the command LOGIN
		"LOGINDISABLED":            "",
		"LOGINDISABLED AUTH=LOGIN": "PLAIN LOGIN",
		"AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=CRAM-MD5": "PLAIN LOGIN XOAUTH2 SCRAM-SHA-256",
		"AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS":               "PLAIN LOGIN",
		"LOGINDISABLED AUTH=SCRAM-SHA-1 AUTH=OAUTHBEARER":          "OAUTHBEARER SCRAM-SHA-1",
	} {
		if got := mechanismsFor(wire.ParseCapabilities(offers)).String(); got != want {
			t.Errorf("%s: %s, want %s", offers, got, want)
		}
	}
}

// What every server offers that was ever reached, is what clients see: also when it is down, and after a restart.
func TestOfferedMechanisms(t *testing.T) {
	testkit.NoLeaks(t)
	down := "127.0.0.1:1"
	s := store.Memory()
	tierOf := func(addresses ...string) *Tier {
		t.Helper()
		offered, err := NewOfferedMechanisms(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{OfferedMechanisms: offered, Databases: []DatabaseOptions{{Name: "db1"}}}
		for i, address := range addresses {
			name := "mbx" + string(rune('1'+i))
			o.Servers = append(o.Servers, ServerOptions{Name: name, Addresses: []string{address}})
			o.Databases[0].Copies = append(o.Databases[0].Copies, name)
		}
		tier, err := newTestTier(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return tier
	}
	expect := func(tier *Tier, when, want string) {
		t.Helper()
		if got := strings.Join(tier.Mechanisms(), " "); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	ask := func(tier *Tier) {
		t.Helper()
		if err := tier.AskMechanisms(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	greet := func(offers string) string {
		return fake(t, nil, dialogue{"S: * OK [CAPABILITY IMAP4rev1 " + offers + "] ready"})
	}

	tier := tierOf(down, down)
	expect(tier, "before anything is known", "PLAIN LOGIN")
	ask(tier)
	expect(tier, "with all servers down", "PLAIN LOGIN")

	tier = tierOf(greet("AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=XOAUTH2"), down)
	ask(tier)
	expect(tier, "with one server up", "PLAIN LOGIN XOAUTH2 SCRAM-SHA-256")

	tier = tierOf(greet("AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=XOAUTH2"), greet("AUTH=PLAIN AUTH=SCRAM-SHA-256"))
	ask(tier)
	expect(tier, "with both", "PLAIN LOGIN SCRAM-SHA-256")

	tier = tierOf(down, down)
	ask(tier)
	expect(tier, "after a restart, with both down", "PLAIN LOGIN SCRAM-SHA-256")

	tier = tierOf(down)
	expect(tier, "when one is there no more", "PLAIN LOGIN XOAUTH2 SCRAM-SHA-256")
}

// A server that has stopped offering what clients were promised is found out by the first who tries.
func TestMechanismsAreLearntFromFailure(t *testing.T) {
	testkit.NoLeaks(t)
	greeting := dialogue{"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready"}
	tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, greeting)))
	tier.authentication.offered.learn("mbx1", wire.ParseCapabilities("AUTH=PLAIN AUTH=XOAUTH2"))
	if got := strings.Join(tier.Mechanisms(), " "); got != "PLAIN LOGIN XOAUTH2" {
		t.Fatal(got)
	}
	q := alice()
	q.Credential = Credential{Mechanism: "XOAUTH2", Username: "alice", First: "user=alice\x01auth=Bearer tok\x01\x01"}
	_, err := signInAs(t, tier, q)
	wantFailure(t, err, KindNoMechanism, PhaseSignIn)
	if got := strings.Join(tier.Mechanisms(), " "); got != "PLAIN LOGIN" {
		t.Errorf("still offered: %s", got)
	}
}
