package backend

import (
	"context"
	"errors"
	"slices"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/backend/secret"
)

// unknownTo signs nobody in to a server, where the directory knows ann alone.
func unknownTo(t *testing.T, address, user string, c Credential) (*Link, error) {
	t.Helper()
	s := server(TLSNone, nil, address)
	tier, err := newTestTier(t.Context(), Options{
		Servers: []ServerOptions{s}, Databases: []DatabaseOptions{{Name: "db1", Copies: []string{s.Name}}},
		Directory: knows{"ann": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	route, err := tier.Route(ctx, directory.Query{User: user}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Done(route)
	return tier.SignIn(ctx, route, SignInRequest{Tag: "a1", User: user, Credential: c})
}

// A user who is unknown, or refused, meets what a wrong password meets, and the server does not get the password.
func TestUnknownUsersMeetTheServer(t *testing.T) {
	const greeting = "S: * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hi"
	login := Credential{Username: "nobody", Password: "Top-secret 1"}
	bearer := Credential{Mechanism: "XOAUTH2", Username: "nobody", Password: "eyJ.a-b",
		First: secret.Value("user=nobody\x01auth=Bearer eyJ.a-b\x01\x01")}
	for name, test := range map[string]struct {
		user       string
		credential Credential
		server     dialogue
		kind       Kind
	}{
		"refused by the server": {"nobody", login, dialogue{
			greeting, `C: p1 LOGIN "nobody" "xxx-xxxxxx x"`, "S: p1 NO [AUTHENTICATIONFAILED] no",
		}, KindNoMailbox},
		"disabled": {"refused", login, dialogue{
			greeting, `C: p1 LOGIN "nobody" "xxx-xxxxxx x"`, "S: p1 NO no",
		}, KindDisabled},
		"let in by the server": {"nobody", login, dialogue{
			greeting, `C: p1 LOGIN "nobody" "xxx-xxxxxx x"`, "S: p1 OK [CAPABILITY IMAP4rev1] in",
			"C: portico LOGOUT", "close",
		}, KindNoMailbox},
		"a token": {"nobody", bearer, dialogue{
			greeting, "C: p1 AUTHENTICATE XOAUTH2 dXNlcj1ub2JvZHkBYXV0aD1CZWFyZXIgeHh4LngteAEB",
			"S: p1 NO [AUTHENTICATIONFAILED] no",
		}, KindNoMailbox},
		"the server goes down": {"nobody", login, dialogue{greeting, `C: p1 LOGIN "nobody" "xxx-xxxxxx x"`,
			"S: * BYE down"}, KindBye},
		"a limit of the server": {"nobody", login, dialogue{
			greeting, `C: p1 LOGIN "nobody" "xxx-xxxxxx x"`, "S: p1 NO [UNAVAILABLE] later",
		}, KindRefused},
	} {
		t.Run(name, func(t *testing.T) {
			link, err := unknownTo(t, fake(t, nil, test.server), test.user, test.credential)
			if link != nil || failure(t, err).Kind != test.kind {
				t.Errorf("%v, %v; want %s", link, err, test.kind)
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		l := testkit.Listen(t)
		l.Close()
		if _, err := unknownTo(t, l.Addr().String(), "nobody", login); failure(t, err).Kind != KindDial {
			t.Errorf("%v", err)
		}
	})
}

// asked is a verifier that notes whom it is asked about.
type asked struct {
	users *[]string
	says  error
}

func (a asked) Verify(_ context.Context, q directory.Query) (string, error) {
	*a.users = append(*a.users, q.Login)
	return q.Login, a.says
}

// In mode master, a user without a mailbox is verified as others are, and never let in.
func TestUnknownUsersAreVerified(t *testing.T) {
	for _, says := range []error{nil, directory.ErrBadCredential, directory.ErrNotFound,
		directory.Unavailable("test", errors.New("down"))} {
		var users []string
		o := masterOptions(asked{&users, says})
		o.Directory = knows{"ann": {}}
		tier, err := newTestTier(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		want := KindNoMailbox
		if errors.Is(says, directory.ErrUnavailable) {
			want = KindDirectory
		}
		q := directory.Query{User: "nobody", Login: "nobody", Password: "secret", Mechanism: "PLAIN"}
		route, err := tier.Route(t.Context(), q, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tier.Verify(t.Context(), &route, q, nil); failure(t, err).Kind != want || route.verified {
			t.Errorf("%v: %v, want %s", says, err, want)
		}
		if !slices.Equal(users, []string{"nobody"}) {
			t.Errorf("%v: asked about %q", says, users)
		}
		tier.Done(route)
	}
}
