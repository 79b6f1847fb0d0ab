package sqldir_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/backend/directory/sqldir"
	"portico/backend/secret"
)

const password = "db-secret"

// kind is a kind of database with what is its own.
type kind struct {
	driver string
	start  func(context.Context, string) (*backendtest.Daemon, error)
	dsn    func(address string) string
	sleep  string // an expression that takes long and is true
}

var kinds = map[string]kind{
	"PostgreSQL": {"postgres", backendtest.StartPostgres, func(address string) string {
		return "postgres://portico:" + password + "@" + address + "/postgres?sslmode=disable"
	}, "pg_sleep(20) IS NOT NULL"},
	"MariaDB": {"mysql", backendtest.StartMariaDB, func(address string) string {
		return "portico:" + password + "@tcp(" + address + ")/portico?timeout=2s"
	}, "SLEEP(20) = 0"},
}

// users is what the tests find, in SQL that all databases speak.
var users = []string{
	"CREATE TABLE users (name VARCHAR(200), shown VARCHAR(200), db VARCHAR(200), srv VARCHAR(200), mode " +
		"VARCHAR(20), most INT, why VARCHAR(200), hash VARCHAR(200))",
	"INSERT INTO users VALUES ('ann@example.org', NULL, 'db1', NULL, NULL, NULL, NULL, " +
		"'$2a$04$GAgwpJkeRfL5mXTDZLAE4uAxNPPxdb3P4nvU1OUkUXePVtyo1.Aey')",
	"INSERT INTO users VALUES ('bob@example.org', 'robert@example.org', NULL, 'mbx2', 'master', 7, '', '!')",
	"INSERT INTO users VALUES ('carol@example.org', NULL, 'db1', NULL, NULL, NULL, 'has left', NULL)",
	"INSERT INTO users VALUES ('twice@example.org', NULL, 'db1', NULL, NULL, NULL, NULL, NULL)",
	"INSERT INTO users VALUES ('twice@example.org', NULL, 'db2', NULL, NULL, NULL, NULL, NULL)",
	"INSERT INTO users VALUES ('odd@example.org', NULL, 'db1', NULL, 'sometimes', NULL, NULL, 'plain text')",
	"INSERT INTO users VALUES ('slow@example.org', NULL, 'db1', NULL, NULL, NULL, NULL, NULL)",
	"INSERT INTO users VALUES ('nowhere@example.org', NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
}

const query = `SELECT shown AS "user", db AS "database", srv AS "server", mode, most AS max_connections, why AS refuse, hash AS password
FROM users WHERE name = {user}`

func TestDirectory(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) { k.test(t) })
	}
}

func (k kind) test(t *testing.T) {
	server := testkit.Daemon(t, func(ctx context.Context) (*backendtest.Daemon,
		error) {
		return k.start(ctx, password)
	})
	testkit.NoLeaks(t)
	text := query
	if k.driver == "mysql" {
		text = strings.ReplaceAll(text, `"`, "`")
	}
	text += " AND (name <> 'slow@example.org' OR " + k.sleep + ")"
	open := func(query string) *sqldir.Directory {
		t.Helper()
		d, err := sqldir.New(sqldir.Options{Driver: k.driver, DSN: secret.Value(k.dsn(server.Address)), Query: query,
			InFlight: 4})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	k.fill(t, server.Address)
	d := open(text)
	ctx := testkit.Context(t)

	t.Run("lookup", func(t *testing.T) {
		for user, want := range map[string]directory.Entry{
			"ann@example.org": {Database: "db1"},
			"bob@example.org": {User: "robert@example.org", Server: "mbx2", Mode: directory.ModeMaster,
				MaxConnections: 7},
			"nowhere@example.org": {},
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
			"twice@example.org":  directory.ErrUnavailable,
			"odd@example.org":    directory.ErrUnavailable,
		} {
			if _, err := d.Lookup(ctx, directory.Query{User: user}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", user, err, want)
			}
		}
	})
	t.Run("injection", func(t *testing.T) {
		for _, user := range []string{
			"' OR ''='", "' OR 1=1 -- ", `\' OR 1=1 -- `, "'; DROP TABLE users; -- ", "ann@example.org'/*", "%", "_%",
			"\x00", "ann@example.org\x00", "$1", "?",
			`" OR ""="`, "ann@example.org' UNION SELECT 1,2,3,4,5,6,7 -- ", "{user}", strings.Repeat("'", 600),
			"\xbf' OR 1=1 -- ",
		} {
			if _, err := d.Lookup(ctx, directory.Query{User: user}); !errors.Is(err, directory.ErrNotFound) &&
				!errors.Is(err, directory.ErrUnavailable) {
				t.Errorf("%q: %v", user, err)
			}
		}
		if _, err := d.Lookup(ctx, directory.Query{User: "ann@example.org"}); err != nil {
			t.Errorf("after it all: %v", err)
		}
	})
	t.Run("verify", func(t *testing.T) {
		for _, test := range []struct {
			user, password string
			want           error
		}{
			{"ann@example.org", "wonder", nil},
			{"ann@example.org", "wrong", directory.ErrBadCredential},
			{"ann@example.org", "", directory.ErrBadCredential},
			{"ann@example.org", "wonder' OR ''='", directory.ErrBadCredential},
			{"nobody@example.org", "wonder", directory.ErrNotFound},
			{"odd@example.org", "plain text", directory.ErrUnavailable},
			{"twice@example.org", "wonder", directory.ErrUnavailable},
		} {
			q := directory.Query{User: "somebody@example.org", Login: test.user, Password: secret.Value(test.password)}
			if _, err := d.Verify(ctx, q); !errors.Is(err, test.want) {
				t.Errorf("%s %s: %v", test.user, test.password, err)
			}
		}
		for _, user := range []string{"bob@example.org", "carol@example.org"} {
			var refused *directory.RefusedError
			if _, err := d.Verify(ctx, directory.Query{Login: user, Password: "!"}); !errors.As(err, &refused) {
				t.Errorf("%s: %v", user, err)
			}
		}
	})
	t.Run("other names", func(t *testing.T) { k.otherNames(t, server.Address, open) })
	t.Run("slow", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		if _, err := d.Lookup(ctx, directory.Query{User: "slow@example.org"}); !errors.Is(err,
			directory.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("bad query", func(t *testing.T) {
		bad := open("SELECT nothing FROM nowhere WHERE name = {user}")
		if _, err := bad.Lookup(ctx, directory.Query{User: "ann@example.org"}); !errors.Is(err,
			directory.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		odd := open("SELECT db AS " + map[string]string{"mysql": "`mailbox`", "postgres": "mailbox"}[k.driver] +
			" FROM users WHERE name = {user}")
		if _, err := odd.Lookup(ctx, directory.Query{User: "ann@example.org"}); !errors.Is(err,
			directory.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "mailbox") {
			t.Errorf("a column that means nothing: %v", err)
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
		testkit.Eventually(t, "the database answers again", func() bool {
			_, err := d.Lookup(ctx, directory.Query{User: "ann@example.org"})
			return err == nil
		})
		if err := server.Stop(); err != nil { // what was started now looks like a leak
			t.Error(err)
		}
	})
}

// others are tables whose columns take several names for the same, by driver.
var others = map[string][]string{
	"mysql": {
		"CREATE TABLE general (name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, db VARCHAR(20), " +
			"hash VARCHAR(200))",
		"CREATE TABLE weighed (name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, db VARCHAR(20), " +
			"hash VARCHAR(200))",
		"CREATE TABLE padded (name CHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, db VARCHAR(20), hash " +
			"VARCHAR(200))",
	},
	"postgres": {
		"CREATE EXTENSION citext",
		"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1-ka-shifted', deterministic = false)",
		"CREATE TABLE general (name CITEXT, db VARCHAR(20), hash VARCHAR(200))",
		"CREATE TABLE weighed (name VARCHAR(200) COLLATE loose, db VARCHAR(20), hash VARCHAR(200))",
		"CREATE TABLE padded (name CHAR(200), db VARCHAR(20), hash VARCHAR(200))",
	},
}

// A row that is found for another name counts only if it says its name.
func (k kind) otherNames(t *testing.T, address string, open func(string) *sqldir.Directory) {
	tables := []string{"general", "weighed", "padded"}
	statements := others[k.driver]
	for _, table := range tables {
		for _, name := range []string{"ann@example.org", "Dora@Example.ORG", "zo\u00eb@example.org"} {
			statements = append(statements, "INSERT INTO "+table+" VALUES ('"+name+
				"', 'db1', '$2a$04$GAgwpJkeRfL5mXTDZLAE4uAxNPPxdb3P4nvU1OUkUXePVtyo1.Aey')")
		}
	}
	k.run(t, address, statements)
	variants := []string{"ann@example.org ", "ann@example.org\x00", "\u00e1nn@example.org", "ann@\u00e9xample.org",
		"an\u0000n@example.org", "zoe@example.org",
		"\uff41nn@example.org", "ann@example.org\u200b"}
	ctx, found := testkit.Context(t), 0
	for _, table := range tables {
		const from = `SELECT db AS "database", hash AS password FROM `
		quoted := func(query string) string {
			if k.driver == "mysql" {
				return strings.ReplaceAll(query, `"`, "`")
			}
			return query
		}
		silent := open(quoted(from + table + " WHERE name = {user}"))
		saying := open(quoted(strings.Replace(from, " FROM", `, name AS "user" FROM`, 1) + table +
			" WHERE name = {user}"))
		for _, user := range []string{"ann@example.org", "dora@example.org", "zo\u00eb@example.org"} {
			if user[0] == 'd' && table == "padded" { // its comparison is exact
				continue
			}
			if k.driver == "postgres" && table == "padded" && user[0] == 'z' {
				continue
			}
			entry, err := silent.Lookup(ctx, directory.Query{User: user})
			if err != nil || entry != (directory.Entry{Database: "db1"}) {
				t.Errorf("%s: %s: %+v, %v", table, user, entry, err)
			}
			if owner, err := silent.Verify(ctx, directory.Query{Login: user, Password: "wonder"}); err != nil ||
				owner != user {
				t.Errorf("%s: %s: verified as %q, %v", table, user, owner, err)
			}
		}
		for _, user := range variants {
			_, err := silent.Lookup(ctx, directory.Query{User: user})
			if !errors.Is(err, directory.ErrNotFound) && !(strings.Contains(user, "\x00") &&
				errors.Is(err, directory.ErrUnavailable)) {
				t.Errorf("%s: %q: %v", table, user, err)
			}
			other := errors.Is(err, directory.ErrOtherName)
			if other && !strings.Contains(err.Error(), "collation") {
				t.Errorf("%s: %q: %v", table, user, err)
			}
			if owner, err := silent.Verify(ctx, directory.Query{Login: user, Password: "wonder"}); err == nil {
				t.Errorf("%s: %q: the password is right, of %q", table, user, owner)
			}
			entry, err := saying.Lookup(ctx, directory.Query{User: user})
			owner, wrong := saying.Verify(ctx, directory.Query{Login: user, Password: "wonder"})
			if other && (err != nil || wrong != nil || directory.SameName(entry.User, user) || entry.User != owner) {
				t.Errorf("%s: %q: a row that says its name is %+v, %v, and verified %q, %v", table, user, entry, err,
					owner, wrong)
			}
			if other {
				found++
			}
		}
	}
	if found < 5 {
		t.Errorf("the tables found a row for another name only %d times: this test shows nothing", found)
	}
	nested := open("SELECT db FROM general WHERE name IN (SELECT name FROM general WHERE name = {user})")
	if _, err := nested.Lookup(ctx, directory.Query{User: "ann@example.org"}); !errors.Is(err,
		directory.ErrUnavailable) ||
		!strings.Contains(err.Error(), "column user") {
		t.Errorf("a query that does not show whose row it finds: %v", err)
	}
}

// fill makes the table.
func (k kind) fill(t *testing.T, address string) {
	t.Helper()
	k.run(t, address, users)
}

// run runs statements.
func (k kind) run(t *testing.T, address string, statements []string) {
	t.Helper()
	db, err := sql.Open(map[string]string{"postgres": "pgx", "mysql": "mysql"}[k.driver], k.dsn(address))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	testkit.Eventually(t, "the database takes users", func() bool { return db.PingContext(testkit.Context(t)) == nil })
	for _, statement := range statements {
		if _, err := db.ExecContext(testkit.Context(t), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	const good = "SELECT db FROM users WHERE name = {user}"
	for _, test := range []struct{ driver, dsn, query, want string }{
		{"oracle", "", good, "no SQL driver"},
		{"postgres", "postgres://h/db?sslmode=verify-full", "SELECT 1", "no {user}"},
		{"postgres", "postgres://h/db?sslmode=verify-full", "SELECT db FROM users WHERE name = '{user}'", "in quotes"},
		{"postgres", "postgres://h/db?sslmode=verify-full", "SELECT db FROM users WHERE name = {password}",
			"{password}"},
		{"postgres", "postgres://u:" + password + "@192.0.2.1/db", good, "TLS"},
		{"postgres", "postgres://u:" + password + "@192.0.2.1:x/db", good, "not a PostgreSQL connection string"},
		{"mysql", "u:" + password + "@tcp(192.0.2.1:3306)/db", good, "TLS"},
		{"mysql", "u:" + password, good, "not a data source name"},
	} {
		_, err := sqldir.New(sqldir.Options{Driver: test.driver, DSN: secret.Value(test.dsn), Query: test.query,
			InFlight: 1})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), password) {
			t.Errorf("%s %s: %v, want %q", test.driver, test.query, err, test.want)
		}
	}
}
