package ldapdir_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/backend/directory/ldapdir"
	"portico/backend/secret"
)

const (
	admin    = "cn=portico,dc=example,dc=org"
	password = "ldap-secret"
)

// ldif is what the tests find. Databases and the like stand in attributes that the schemas have.
const ldif = `
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=ann,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Ann
mail: ann@example.org
departmentNumber: db1
userPassword: wonder

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Bob
mail: bob@example.org
displayName: robert@example.org
employeeType: MASTER
employeeNumber: 7
carLicense: mbx2
userPassword: builder

dn: uid=carol,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Carol
mail: carol@example.org
departmentNumber: db1
title: has left
userPassword: wonder

dn: uid=dora,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: dora
cn: Dora
sn: Dora
mail: dora@example.org
departmentNumber: db1
title: FALSE

dn:: dWlkPXpvw6ssb3U9cGVvcGxlLGRjPWV4YW1wbGUsZGM9b3Jn
objectClass: inetOrgPerson
uid:: em/Dqw==
cn: Zoe
sn: Zoe
mail: Zoe.Two  Blanks@Example.ORG
departmentNumber: db1
userPassword: wonder

dn: uid=odd,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: odd
cn: Odd
sn: Odd
mail: odd@example.org
departmentNumber: db1
departmentNumber: db2

dn: uid=twin1,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin1
cn: Twin
sn: Twin
mail: twin@example.org
departmentNumber: db1

dn: uid=twin2,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin2
cn: Twin
sn: Twin
mail: twin@example.org
departmentNumber: db1
`

func options(address string) ldapdir.Options {
	return ldapdir.Options{
		URLs: []string{"ldap://" + address}, BindDN: admin, BindPassword: password,
		Base: "ou=people,dc=example,dc=org", Scope: ldapdir.Sub, Filter: "(&(objectClass=inetOrgPerson)(mail={user}))",
		Attributes: map[string]string{
			"database": "departmentNumber", "user": "displayName", "mode": "employeeType",
			"max_connections": "employeeNumber",
			"server":          "carLicense", "refuse": "title",
		},
		Timeout: testkit.Patience,
	}
}

func TestDirectory(t *testing.T) {
	ca, err := backendtest.NewCA("LDAP")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := testkit.Daemon(t, func(ctx context.Context) (*backendtest.Daemon, error) {
		return backendtest.StartSlapd(ctx, backendtest.SlapdOptions{LDIF: ldif, Password: password, Certificate: cert})
	})
	testkit.NoLeaks(t)
	ctx := testkit.Context(t)
	open := func(change func(*ldapdir.Options)) *ldapdir.Directory {
		t.Helper()
		o := options(server.Address)
		if change != nil {
			change(&o)
		}
		d, err := ldapdir.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	d := open(nil)

	t.Run("lookup", func(t *testing.T) {
		for user, want := range map[string]directory.Entry{
			"ann@example.org": {Database: "db1"},
			"bob@example.org": {User: "robert@example.org", Server: "mbx2", Mode: directory.ModeMaster,
				MaxConnections: 7},
			"dora@example.org": {Database: "db1"},
		} {
			if got, err := d.Lookup(ctx, directory.Query{User: user}); err != nil || got != want {
				t.Errorf("%s: %+v, %v", user, got, err)
			}
		}
		var refused *directory.RefusedError
		if _, err := d.Lookup(ctx, directory.Query{User: "carol@example.org"}); !errors.As(err, &refused) ||
			refused.Reason != "has left" {
			t.Errorf("carol: %v", err)
		}
		for user, want := range map[string]error{
			"nobody@example.org": directory.ErrNotFound,
			"twin@example.org":   directory.ErrUnavailable,
			"odd@example.org":    directory.ErrUnavailable,
		} {
			if _, err := d.Lookup(ctx, directory.Query{User: user}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", user, err, want)
			}
		}
	})
	t.Run("injection", func(t *testing.T) {
		for _, user := range []string{
			"*", "ann*", "*@example.org", "*)(uid=*", "ann@example.org)(|(uid=*", "ann@example.org)(objectClass=*",
			`\2a`, "(", ")", `\`,
			"{user}", strings.Repeat("(", 600), "\xff",
		} {
			if _, err := d.Lookup(ctx, directory.Query{User: user}); !errors.Is(err, directory.ErrNotFound) {
				t.Errorf("%q: %v", user, err)
			}
			if _, err := d.Verify(ctx, directory.Query{Login: user, Password: "wonder"}); !errors.Is(err,
				directory.ErrNotFound) {
				t.Errorf("%q: %v", user, err)
			}
		}
		byName := open(func(o *ldapdir.Options) { o.Filter, o.UserDN = "", "uid={local},ou=people,dc=example,dc=org" })
		for _, user := range []string{"ann,ou=people", "ann+cn=Ann@x", `ann\2cou=people`,
			"ann,ou=people,dc=example,dc=org#@x", "#61"} {
			if _, err := byName.Verify(ctx, directory.Query{Login: user, Password: "wonder"}); !errors.Is(err,
				directory.ErrBadCredential) {
				t.Errorf("%q: %v", user, err)
			}
		}
		if _, err := byName.Verify(ctx, directory.Query{Login: "ann@example.org", Password: "wonder"}); err != nil {
			t.Errorf("ann by name: %v", err)
		}
	})
	t.Run("verify", func(t *testing.T) {
		for _, test := range []struct {
			user, password string
			want           error
		}{
			{"ann@example.org", "wonder", nil},
			{"ann@example.org", "wrong", directory.ErrBadCredential},
			{"ann@example.org", "", directory.ErrBadCredential}, // the server would let that in, as nobody
			{"nobody@example.org", "wonder", directory.ErrNotFound},
			{"nobody@example.org", "", directory.ErrBadCredential},
			{"twin@example.org", "wonder", directory.ErrUnavailable},
			{"dora@example.org", "wonder", directory.ErrBadCredential}, // who has no password
		} {
			q := directory.Query{User: "somebody@example.org", Login: test.user, Password: secret.Value(test.password)}
			if _, err := d.Verify(ctx, q); !errors.Is(err, test.want) {
				t.Errorf("%s %q: %v", test.user, test.password, err)
			}
		}
		var refused *directory.RefusedError
		if _, err := d.Verify(ctx, directory.Query{Login: "carol@example.org", Password: "wonder"}); !errors.As(err,
			&refused) {
			t.Errorf("carol: %v", err)
		}
	})
	t.Run("other names", func(t *testing.T) { otherNames(t, open) })
	t.Run("TLS", func(t *testing.T) {
		secure := open(func(o *ldapdir.Options) { o.StartTLS, o.TLS = true, ca.ClientConfig("") })
		if _, err := secure.Lookup(ctx, directory.Query{User: "ann@example.org"}); err != nil {
			t.Error(err)
		}
		if _, err := secure.Verify(ctx, directory.Query{Login: "ann@example.org", Password: "wonder"}); err != nil {
			t.Error(err)
		}
		for name, config := range map[string]*tls.Config{"foreign": nil,
			"another's name": ca.ClientConfig("ldap.example.org")} {
			wrong := open(func(o *ldapdir.Options) { o.StartTLS, o.TLS = true, config })
			if _, err := wrong.Lookup(ctx, directory.Query{User: "ann@example.org"}); !errors.Is(err,
				directory.ErrUnavailable) {
				t.Errorf("%s certificate: %v", name, err)
			}
		}
	})
	t.Run("own bind", func(t *testing.T) {
		for name, change := range map[string]func(*ldapdir.Options){
			"wrong":     func(o *ldapdir.Options) { o.BindPassword = "wrong" },
			"no base":   func(o *ldapdir.Options) { o.Base = "ou=nowhere,dc=example,dc=org" },
			"not bound": func(o *ldapdir.Options) { o.BindDN = "" },
		} {
			_, err := open(change).Lookup(ctx, directory.Query{User: "ann@example.org"})
			if want := directory.ErrUnavailable; !errors.Is(err, want) &&
				!(name == "not bound" && errors.Is(err, directory.ErrNotFound)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("several", func(t *testing.T) {
		two := open(func(o *ldapdir.Options) { o.URLs = []string{"ldap://127.0.0.1:1", o.URLs[0]} })
		if _, err := two.Lookup(ctx, directory.Query{User: "ann@example.org"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("slow", func(t *testing.T) {
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		defer server.Thaw()
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		if _, err := d.Lookup(ctx, directory.Query{User: "ann@example.org"}); !errors.Is(err,
			directory.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("lookup: %v", err)
		}
		if _, err := d.Verify(ctx, directory.Query{Login: "ann@example.org", Password: "wonder"}); !errors.Is(err,
			directory.ErrUnavailable) {
			t.Errorf("verify: %v", err)
		}
	})
	t.Run("down and back", func(t *testing.T) {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		_, err := d.Lookup(ctx, directory.Query{User: "ann@example.org"})
		if !errors.Is(err, directory.ErrUnavailable) || strings.Contains(err.Error(), password) {
			t.Errorf("down: %v", err)
		}
		if _, err := d.Verify(ctx, directory.Query{Login: "ann@example.org", Password: "wonder"}); !errors.Is(err,
			directory.ErrUnavailable) {
			t.Errorf("down: %v", err)
		}
		if err := server.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Lookup(ctx, directory.Query{User: "ann@example.org"}); err != nil {
			t.Errorf("back: %v", err)
		}
		if err := server.Stop(); err != nil { // what was started now looks like a leak
			t.Error(err)
		}
	})
}

// An entry that is found for another name counts only if it says its name.
func otherNames(t *testing.T, open func(func(*ldapdir.Options)) *ldapdir.Directory) {
	ctx := testkit.Context(t)
	reported := 0
	silent := open(func(o *ldapdir.Options) { o.Report = func(error) { reported++ } })
	saying := open(func(o *ldapdir.Options) {
		o.Attributes = map[string]string{"database": "departmentNumber", "user": "mail"}
	})
	for _, user := range []string{" ann@example.org", "ann@example.org ", "zoe.two blanks@example.org"} {
		_, err := silent.Lookup(ctx, directory.Query{User: user})
		if !errors.Is(err, directory.ErrOtherName) || !strings.Contains(err.Error(), "collation") {
			t.Errorf("%q: %v", user, err)
		}
		if owner, err := silent.Verify(ctx, directory.Query{Login: user, Password: "wonder"}); !errors.Is(err,
			directory.ErrNotFound) {
			t.Errorf("%q: verified as %q, %v", user, owner, err)
		}
		entry, err := saying.Lookup(ctx, directory.Query{User: user})
		owner, wrong := saying.Verify(ctx, directory.Query{Login: user, Password: "wonder"})
		if err != nil || wrong != nil || entry.User != owner || directory.SameName(owner, user) {
			t.Errorf("%q: an entry that says its name is %+v, %v, and verified %q, %v", user, entry, err, owner, wrong)
		}
	}
	if reported == 0 {
		t.Error("nobody was told")
	}
	for _, user := range []string{"zoe.two  blanks@example.org", "ann@example.org"} {
		if entry, err := silent.Lookup(ctx, directory.Query{User: user}); err != nil || entry.Database != "db1" {
			t.Errorf("%s: %+v, %v", user, entry, err)
		}
	}
	namesOfFilters(t, open)
	namesBoundBy(t, open)
}

// namesOfFilters is for filters that find entries by other attributes, or by a part of a name.
func namesOfFilters(t *testing.T, open func(func(*ldapdir.Options)) *ldapdir.Directory) {
	ctx := testkit.Context(t)
	either := open(func(o *ldapdir.Options) { o.Filter = "(|(mail={user})(&(uid={local})(!(title=gone))))" })
	part := open(func(o *ldapdir.Options) { o.Filter = "(mail={user}*)" })
	for user, want := range map[string]error{"ann@example.org": nil, "ann@elsewhere.org": nil,
		"ann @elsewhere.org": directory.ErrOtherName} {
		if _, err := either.Lookup(ctx, directory.Query{User: user}); !errors.Is(err, want) {
			t.Errorf("either: %q: %v, want %v", user, err, want)
		}
	}
	if _, err := part.Lookup(ctx, directory.Query{User: "ann@example"}); !errors.Is(err, directory.ErrOtherName) {
		t.Errorf("part of a name: %v", err)
	}
}

// namesBoundBy is for users whose DN is made of the name.
func namesBoundBy(t *testing.T, open func(func(*ldapdir.Options)) *ldapdir.Directory) {
	ctx := testkit.Context(t)
	byDN := open(func(o *ldapdir.Options) { o.UserDN = "uid={local},ou=people,dc=example,dc=org" })
	for login, want := range map[string]error{
		"ann@example.org": nil, "zo\u00eb@example.org": nil, "ann @example.org": directory.ErrOtherName,
		" ann@example.org":     directory.ErrOtherName,
		"\uff41nn@example.org": directory.ErrOtherName, "zoe@example.org": directory.ErrBadCredential,
	} {
		if owner, err := byDN.Verify(ctx, directory.Query{Login: login, Password: "wonder"}); !errors.Is(err, want) ||
			err == nil && owner != login {
			t.Errorf("bound by name: %q: %q, %v, want %v", login, owner, err, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for want, change := range map[string]func(*ldapdir.Options){
		"url is missing": func(o *ldapdir.Options) { o.URLs = nil },
		"ldap or ldaps":  func(o *ldapdir.Options) { o.URLs = []string{"http://h"} },
		"filter: no":     func(o *ldapdir.Options) { o.Filter = "(mail=x)" },
		"RFC 4515":       func(o *ldapdir.Options) { o.Filter = "(mail={user}" },
		"user_dn: {x}":   func(o *ldapdir.Options) { o.UserDN = "uid={x}" },
		"needs a filter": func(o *ldapdir.Options) { o.Filter = "" },
	} {
		o := options("127.0.0.1:1")
		change(&o)
		if _, err := ldapdir.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
