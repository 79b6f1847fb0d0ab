package backend

import (
	"context"
	"errors"
	"testing"

	"portico/backend/directory"
)

// verdict is a Verifier that always says the same.
type verdict struct{ err error }

func (v verdict) Verify(context.Context, directory.Query) error { return v.err }

func TestVerify(t *testing.T) {
	o := Options{
		Servers:   []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
	}
	for name, test := range map[string]struct {
		verifier directory.Verifier
		kind     Kind
	}{
		"nobody to ask": {nil, KindDirectory},
		"wrong":         {verdict{directory.ErrBadCredential}, KindBadCredential},
		"unknown":       {verdict{directory.ErrNotFound}, KindBadCredential},
		"locked":        {verdict{&directory.RefusedError{Reason: "left"}}, KindDisabled},
		"down":          {verdict{directory.Unavailable("test", errors.New("down"))}, KindDirectory},
		"in vain":       {verdict{context.Canceled}, KindCancelled},
		"odd":           {verdict{errors.New("odd")}, KindDirectory},
	} {
		o.Verifier = test.verifier
		tier, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		if err := tier.Verify(t.Context(), directory.Query{Login: "ann"}); !errors.As(err, &e) || e.Kind != test.kind || e.Phase != PhaseVerify {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
	}
	o.Verifier = verdict{}
	tier, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := tier.Verify(t.Context(), directory.Query{Login: "ann"}); err != nil {
		t.Errorf("right: %v", err)
	}
}
