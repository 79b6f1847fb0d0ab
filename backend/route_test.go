package backend

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"portico/backend/directory"
)

// knows is a directory by a table.
type knows map[string]directory.Entry

func (k knows) Lookup(_ context.Context, q directory.Query) (directory.Entry, error) {
	switch q.User {
	case "refused":
		return directory.Entry{}, &directory.RefusedError{Reason: "left"}
	case "down":
		return directory.Entry{}, directory.Unavailable("test", errors.New("down"))
	}
	if e, ok := k[q.User]; ok {
		return e, nil
	}
	return directory.Entry{}, directory.ErrNotFound
}

func TestRouteByDirectory(t *testing.T) {
	of := knows{
		"ann":     {Database: "db2", MaxConnections: 3},
		"bob":     {Server: "mbx1"},
		"carol":   {Address: "192.0.2.2:993", User: "carol2"},
		"nowhere": {User: "nowhere"},
		"odd":     {Database: "db7"},
		"odder":   {Server: "mbx7"},
		"oddest":  {Address: "192.0.2.7:993"},
	}
	servers := []ServerOptions{
		{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}, {Name: "mbx2", Addresses: []string{"192.0.2.2:993"}},
	}
	databases := []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}},
		{Name: "db2", Copies: []string{"mbx2", "mbx1"}}}
	tier, err := newTestTier(t.Context(), Options{Servers: servers, Databases: databases, Directory: of})
	if err != nil {
		t.Fatal(err)
	}
	single, err := newTestTier(t.Context(), Options{Servers: servers, Databases: databases[:1], Directory: of})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		tier *Tier
		user string
		want Route
		kind Kind // of the error, where want is empty
	}{
		{tier, "ann", Route{User: "ann", Database: "db2", Servers: []string{"mbx2"}, MaxConnections: 3}, 0},
		{tier, "bob", Route{User: "bob", Servers: []string{"mbx1"}}, 0},
		{tier, "carol", Route{User: "carol2", Servers: []string{"mbx2"}}, 0},
		{tier, "nobody", Route{}, KindNoMailbox},
		{tier, "refused", Route{}, KindDisabled},
		{tier, "down", Route{}, KindDirectory},
		{tier, "nowhere", Route{}, KindDirectory},
		{single, "nowhere", Route{User: "nowhere", Database: "db1", Servers: []string{"mbx1"}}, 0},
		{tier, "odd", Route{}, KindDirectory},
		{tier, "odder", Route{}, KindDirectory},
		{tier, "oddest", Route{}, KindDirectory},
	} {
		got, err := test.tier.Route(t.Context(), directory.Query{User: test.user}, nil)
		var e *Error
		switch {
		case len(test.want.Servers) == 0 && (test.kind == KindNoMailbox || test.kind == KindDisabled):
			// which nobody may see from where it fails
			if err != nil || !errors.As(got.Refusal(), &e) || e.Kind != test.kind || len(got.Servers) != 1 {
				t.Errorf("%s: %+v, %v, refused by %v; want %s", test.user, got, err, got.Refusal(), test.kind)
			}
		case len(test.want.Servers) == 0:
			named := of[test.user].Database + of[test.user].Server + of[test.user].Address
			if !errors.As(err, &e) || e.Kind != test.kind || e.Phase != PhaseRoute ||
				!strings.Contains(err.Error(), named) || strings.Contains(err.Error(), "%") {
				t.Errorf("%s: %v, want %s that names %q", test.user, err, test.kind, named)
			}
		case err != nil || got.Refusal() != nil || got.User != test.want.User || got.Database != test.want.Database ||
			strings.Join(got.Servers, " ") != strings.Join(test.want.Servers, " ") ||
			got.MaxConnections != test.want.MaxConnections:
			t.Errorf("%s: %+v, %v; want %+v", test.user, got, err, test.want)
		}
	}
}

// BenchmarkRoute is the way to a server without a directory and with a warm cache.
func BenchmarkRoute(b *testing.B) {
	o := Options{
		Servers:   []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
	}
	cached, err := directory.NewCache(knows{"ann": {Database: "db1"}}, directory.CacheOptions{
		Positive: time.Hour, Negative: time.Minute, Size: 1, Now: time.Now, Wait: dialing(direct).Wait,
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, source := range map[string]directory.Source{"static": nil, "cached": cached} {
		b.Run(name, func(b *testing.B) {
			o.Directory = source
			tier, err := newTestTier(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				tier.Route(b.Context(), directory.Query{User: "ann"}, nil)
			}
		})
	}
}
