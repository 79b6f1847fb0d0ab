package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"portico/backend/directory"
	"portico/backend/secret"
	"portico/configs/store"
)

func TestRoute(t *testing.T) {
	tests := []struct {
		interchangeable bool
		active          string
		want            []string // nil: no active copy
	}{
		{false, "mbx1", []string{"mbx1"}},
		{false, "mbx2", []string{"mbx2"}},
		{true, "mbx1", []string{"mbx1", "mbx2", "mbx3"}},
		{true, "mbx2", []string{"mbx2", "mbx3", "mbx1"}},
	}
	for _, test := range tests {
		o := Options{Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx2", "mbx3"},
			Interchangeable: test.interchangeable}}}
		for _, name := range o.Databases[0].Copies {
			o.Servers = append(o.Servers, ServerOptions{Name: name, Addresses: []string{"127.0.0.1:143"}})
		}
		tier, err := newTestTier(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := tier.ActiveManager().Active("db1"); got != "mbx1" {
			t.Errorf("starts on %q", got)
		}
		if err := tier.ActiveManager().Move(t.Context(), "db1", test.active, nobody); err != nil {
			t.Fatal(err)
		}
		route, err := tier.Route(t.Context(), directory.Query{User: "alice@example.org"}, nil)
		if err != nil || route.Database != "db1" || !slices.Equal(route.Servers, test.want) {
			t.Errorf("got %v, %v; want %v", route, err, test.want)
		}
	}
}

func TestSignInNowhere(t *testing.T) {
	tier, err := newTestTier(t.Context(), hashed(store.Memory(), "db1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range []Route{{}, {Servers: []string{"mbx9"}}} {
		if _, err := tier.SignIn(t.Context(), route, alice()); failure(t, err).Kind != KindNoActiveCopy {
			t.Errorf("got %v", err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	mbx1 := server(TLSNone, nil, "127.0.0.1:143")
	db1 := DatabaseOptions{Name: "db1", Copies: []string{"mbx1"}}
	tests := []struct {
		options Options
		want    string
	}{
		{Options{Servers: []ServerOptions{mbx1}}, "no database"},
		{Options{Servers: []ServerOptions{mbx1, mbx1}}, "given exactly once"},
		{Options{Servers: []ServerOptions{server(TLSNone, nil)}}, "no address"},
		{Options{Servers: []ServerOptions{server(TLSNone, nil, "127.0.0.1")}}, "missing port"},
		{Options{Servers: []ServerOptions{mbx1}, Databases: []DatabaseOptions{db1, db1}}, "given exactly once"},
		{Options{Servers: []ServerOptions{mbx1}, Databases: []DatabaseOptions{{Name: "db1"}}}, "holds a copy"},
		{Options{Databases: []DatabaseOptions{db1}}, `no mailbox server "mbx1"`},
		{Options{Servers: []ServerOptions{mbx1},
			Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1", "mbx1"}}}}, "twice"},
		{Options{Servers: []ServerOptions{mbx1}, Databases: []DatabaseOptions{db1,
			{Name: "db2", Copies: []string{"mbx1"}}}}, "which user is in which"},
		{Options{Servers: []ServerOptions{mbx1}, Databases: []DatabaseOptions{db1}, Routing: RoutingHash}, "store"},
	}
	for _, test := range tests {
		if _, err := newTestTier(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}

// A credential shows nothing of its password, however it is printed.
func TestCredentialIsSecret(t *testing.T) {
	c := Credential{Username: "alice", Password: "wonder", First: "user=alice\x01auth=Bearer wonder\x01\x01"}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprintf("%v %+v %#v %s", c, &c, c, c), string(encoded)} {
		if strings.Contains(got, "wonder") || !strings.Contains(got, secret.Mask) {
			t.Errorf("got %q", got)
		}
	}
}

// TestKindNames wants a label for each kind, and no two the same.
func TestKindNames(t *testing.T) {
	seen := make(map[string]bool)
	for k := range Kind(NumKinds) {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d is called %q", k, k)
		}
		seen[k.String()] = true
	}
	if got := (&Error{Kind: KindNoMailbox, Phase: PhaseRoute}).Error(); got != "route: no_mailbox" {
		t.Errorf("got %q", got)
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct{ name, domain, want string }{
		{"Alice", "", "alice"},
		{"Alice", "Example.ORG", "alice@example.org"},
		{"Alice@Other.org", "example.org", "alice@other.org"},
		{"JO\u0308RG@x", "", "j\u00f6rg@x"},
		{"\u212bngstr\u00f6m", "", "\u00e5ngstr\u00f6m"},
		{"o'hara+tag@x", "", "o'hara+tag@x"},
	}
	for _, test := range tests {
		if got, err := Canonical(test.name, test.domain); err != nil || got != test.want {
			t.Errorf("%q: got %q, %v; want %q", test.name, got, err, test.want)
		}
	}
	for _, name := range []string{
		"", "a\x00", "a\r", "a\n", "a\tb", "alice*root", "\xff", "@x", "alice@", strings.Repeat("a", maxUserName+1),
		strings.Repeat("\u023a", maxUserName/2), // longer in lower case
	} {
		if got, err := Canonical(name, ""); !errors.Is(err, ErrUserName) {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

// Names of directories, verifiers and mode master follow PRECIS; in passthrough every name passes that a mailbox
// server may take.
func TestNameRules(t *testing.T) {
	for name, want := range map[string]struct{ strict, lax string }{ // "" is refused
		"Ann":           {"ann", "ann"},
		"Ann Example@x": {"ann example@x", "ann example@x"},
		"\uff21nn@x":    {"ann@x", "\uff41nn@x"}, // full width
		"a\u200bnn@x":   {"", "a\u200bnn@x"},
		"ann\u202e@x":   {"", "ann\u202e@x"},
		"a\tb":          {"", "a\tb"},
		"B\xf6b":        {"", "b\xf6b"},
		"alice*root":    {"alice*root", "alice*root"},
		// from right to left, and a domain that is not
		"\u05d0\u05d1@x.org": {"\u05d0\u05d1@x.org", "\u05d0\u05d1@x.org"},
		"@x":                 {"", "@x"},
		"a\x00":              {"", ""},
		"a\nb":               {"", ""},
	} {
		for strict, want := range map[bool]string{true: want.strict, false: want.lax} {
			got, err := NameRules{Strict: strict}.Canonical(name, "")
			if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrUserName) {
				t.Errorf("%q, strict %v: %q, %v; want %q", name, strict, got, err, want)
			}
		}
	}
	if _, err := (NameRules{NoSeparator: true}).Canonical("alice*root", ""); !errors.Is(err, ErrUserName) {
		t.Errorf("a name that fools the separator: %v", err)
	}
}

// FuzzCanonical wants the canonical form to be its own, whatever the name.
func FuzzCanonical(f *testing.F) {
	for _, name := range []string{"alice", "J\u00d6RG@x", "\u0130", "\u1e9e", "A\u030a\u0323", "\u03a3\u0345"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once, err := Canonical(name, "example.org")
		if err != nil {
			return
		}
		if twice, err := Canonical(once, "example.org"); err != nil || twice != once {
			t.Errorf("%q: %q, then %q, %v", name, once, twice, err)
		}
	})
}
