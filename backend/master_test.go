package backend

import (
	"cmp"
	"context"
	"errors"
	"testing"

	"portico/backend/directory"
)

// verdict is a Verifier that always says the same.
type verdict struct {
	err   error
	owner string // of every password; "" is who signs in
}

func (v verdict) Verify(_ context.Context, q directory.Query) (string, error) {
	return cmp.Or(v.owner, q.Login), v.err
}

// masterOptions are of a tier whose users the proxy verifies.
func masterOptions(v directory.Verifier) Options {
	return Options{
		Servers:   []ServerOptions{{Name: "mbx1", Addresses: []string{"192.0.2.1:993"}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
		Mode:      directory.ModeMaster, Master: &Master{User: "portico", Password: "open sesame"}, Verifier: v,
	}
}

func TestVerify(t *testing.T) {
	ann := directory.Query{User: "ann", Login: "ann", Password: "secret", Mechanism: "PLAIN"}
	for name, test := range map[string]struct {
		verdict error
		change  func(*directory.Query)
		kind    Kind
	}{
		"wrong":         {verdict: directory.ErrBadCredential, kind: KindBadCredential},
		"unknown":       {verdict: directory.ErrNotFound, kind: KindBadCredential},
		"locked":        {verdict: &directory.RefusedError{Reason: "left"}, kind: KindDisabled},
		"down":          {verdict: directory.Unavailable("test", errors.New("down")), kind: KindDirectory},
		"in vain":       {verdict: context.Canceled, kind: KindCancelled},
		"odd":           {verdict: errors.New("odd"), kind: KindDirectory},
		"somebody else": {change: func(q *directory.Query) { q.User = "bob" }, kind: KindNotAuthorized},
		"no password":   {change: func(q *directory.Query) { q.Mechanism = "SCRAM-SHA-256" }, kind: KindNoMechanism},
		"else, and wrong": {verdict: directory.ErrBadCredential, change: func(q *directory.Query) { q.User = "bob" },
			kind: KindBadCredential},
		"another's certificate": {
			change: func(q *directory.Query) { q.User, q.Certificate, q.Mechanism = "bob", true, "EXTERNAL" },
			kind:   KindNotAuthorized,
		},
	} {
		tier, err := newTestTier(t.Context(), masterOptions(verdict{err: test.verdict}))
		if err != nil {
			t.Fatal(err)
		}
		q := ann
		if test.change != nil {
			test.change(&q)
		}
		route := Route{User: q.User, Servers: []string{"mbx1"}, Mode: directory.ModeMaster}
		var e *Error
		if err := tier.Verify(t.Context(), &route, q, nil); !errors.As(err, &e) || e.Kind != test.kind ||
			e.Phase != PhaseVerify {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
		if _, err := tier.SignIn(t.Context(), route, SignInRequest{Tag: "a", User: q.User}); !errors.Is(err,
			errNotVerified) {
			t.Errorf("%s: the master credential was used all the same: %v", name, err)
		}
	}

	tier, err := newTestTier(t.Context(), masterOptions(verdict{}))
	if err != nil {
		t.Fatal(err)
	}
	byCertificate := directory.Query{User: "ann", Login: "ann", Mechanism: "EXTERNAL", Certificate: true}
	for _, q := range []directory.Query{ann, byCertificate} {
		route := Route{User: "ann", Mode: directory.ModeMaster}
		if err := tier.Verify(t.Context(), &route, q, nil); err != nil || !route.verified {
			t.Errorf("%s: %v", q.Mechanism, err)
		}
	}
	if err := tier.Verify(t.Context(), &Route{Mode: directory.ModePassthrough}, directory.Query{}, nil); err != nil {
		t.Errorf("passthrough: %v", err)
	}
}

// A password that belongs to another name than was asked for opens the mailbox of that name, and no other.
func TestVerifyFindsAnotherName(t *testing.T) {
	o := masterOptions(verdict{owner: "Ann"})
	o.Servers = append(o.Servers, ServerOptions{Name: "mbx2", Addresses: []string{"192.0.2.2:993"}})
	o.Databases = append(o.Databases, DatabaseOptions{Name: "db2", Copies: []string{"mbx2"}})
	o.Directory = entriesOf{"ann": {Database: "db2"}, "\u00e1nn": {Database: "db1"},
		"bob": {User: "ann", Database: "db1"}}
	tier, err := newTestTier(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for login, want := range map[string]Route{
		"\u00e1nn": {User: "ann", Database: "db2"},
		"ann":      {User: "ann", Database: "db2"},
		"bob":      {User: "ann", Database: "db1"}, // the directory has said so already
	} {
		q := directory.Query{User: login, Login: login, Password: "secret", Mechanism: "PLAIN"}
		route, err := tier.Route(t.Context(), q, nil)
		if err == nil {
			err = tier.Verify(t.Context(), &route, q, nil)
		}
		if err != nil || route.User != want.User || route.Database != want.Database || !route.verified {
			t.Errorf("%s: %+v, %v", login, route, err)
		}
		tier.Done(route)
	}
	q := directory.Query{User: "bob", Login: "\u00e1nn", Password: "secret", Mechanism: "PLAIN"}
	var e *Error
	if err := tier.Verify(t.Context(), &Route{User: "bob", Mode: directory.ModeMaster}, q, nil); !errors.As(err, &e) ||
		e.Kind != KindNotAuthorized {
		t.Errorf("for another user: %v", err)
	}
}

// entriesOf is a directory.Source of these users.
type entriesOf map[string]directory.Entry

func (p entriesOf) Lookup(_ context.Context, q directory.Query) (directory.Entry, error) {
	entry, ok := p[q.User]
	if !ok {
		return entry, directory.ErrNotFound
	}
	return entry, nil
}

// A mode that would let everybody in, or nobody, does not start.
func TestMasterNeedsAll(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no master":   func(o *Options) { o.Master = nil },
		"no verifier": func(o *Options) { o.Verifier = nil },
	} {
		o := masterOptions(verdict{})
		change(&o)
		if _, err := newTestTier(t.Context(), o); err == nil {
			t.Errorf("%s: it starts", name)
		}
	}
	o := masterOptions(nil)
	o.Certificates = true
	tier, err := newTestTier(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := tier.Mechanisms(); len(got) != 1 || got[0] != "EXTERNAL" {
		t.Errorf("with certificates alone it offers %q", got)
	}

	// A user whom the directory puts in mode master, and nobody to judge.
	o.Mode, o.Certificates = directory.ModePassthrough, false
	if tier, err = newTestTier(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	route := Route{User: "ann", Mode: directory.ModeMaster}
	var e *Error
	if err := tier.Verify(t.Context(), &route, directory.Query{User: "ann", Login: "ann"}, nil); !errors.As(err, &e) ||
		e.Kind != KindDirectory {
		t.Errorf("nobody judges: %v", err)
	}
}
