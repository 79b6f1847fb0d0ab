package node

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// tries signs in over TLS and returns the answer.
func (r *running) tries(t *testing.T, user string) string {
	t.Helper()
	c := testkit.Dial(t, r.clients.listeners.addresses()[1].String(), r.trust())
	defer c.Close()
	c.Expect("* OK *")
	c.Send("a LOGIN " + user + " secret")
	lines := c.ReadUntilTagged("a")
	return lines[len(lines)-1]
}

// Rules, a map file and a web server together, through the front end; and what happens when they change, or go.
func TestDirectory(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	asked := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.Header.Get("Auth-User") {
		case "alice":
			w.Header().Set("Auth-Status", "OK")
			w.Header().Set("Auth-Database", "db2")
		default:
			w.Header().Set("Auth-Status", "Invalid login or password")
		}
	}))
	defer web.Close()
	users := filepath.Join(site.dir, "users.map")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(users+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(users+".new", users); err != nil {
			t.Fatal(err)
		}
	}
	put("dave refuse has left\nelse server=mbx9\n")
	r := site.serve(t, site.withDirectory(t, web.URL))
	for user, want := range map[string]string{
		"alice":     "a OK ",
		"alice@old": "a OK ",
		"dave":      "a NO [AUTHENTICATIONFAILED] ",
		"nobody":    "a NO [AUTHENTICATIONFAILED] ",
		"else":      "a NO [UNAVAILABLE] ",
		"broken":    "a NO [UNAVAILABLE] ",
	} {
		if got := r.tries(t, user); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", user, got, want)
		}
	}
	r.logged(t, "has left")
	before := asked
	if r.tries(t, "alice"); asked != before {
		t.Error("what was said of alice was not remembered")
	}
	put("alice refuse is away\n")
	testkit.Eventually(t, "the new map file in force",
		func() bool { return strings.HasPrefix(r.tries(t, "alice"), "a NO ") })
	put("alice\n")
	testkit.Eventually(t, "the mistake told", func() bool {
		return strings.HasPrefix(r.tries(t, "alice"), "a NO ") && strings.Contains(r.log.String(), "users.map:1: ")
	})
	put("# nothing\n")
	testkit.Eventually(t, "the third map file in force",
		func() bool { return strings.HasPrefix(r.tries(t, "alice"), "a OK ") })
}

// withDirectory writes a site of two databases, of which users are in one by a directory.
func (s *site) withDirectory(t *testing.T, url string) (file string) {
	t.Helper()
	file = s.writeWithout(t, "databases", "")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "mailbox_servers: {mbx1:", `mailbox_servers: {mbx2: {address: "127.0.0.1:1", tls: none}, mbx1:`, 1) + `
databases: {db1: {copies: [mbx2]}, db2: {copies: [mbx1]}}
penalties: {first: 0s}
directory:
  sources:
    - rules: [{match: "*@old", user: "$1"}, {match: "broken", database: db1}]
    - file: users.map
    - http: {urls: ["` + url + `"]}
`
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A map file that could not be taken at the start is told beforehand.
// Check warns of an SQL query whose rows cannot show whose they are.
func TestCheckWarnsOfNamelessQueries(t *testing.T) {
	site := newSite(t)
	site.put(t, "dsn", "postgres://u@127.0.0.1:1/mail")
	for query, warned := range map[string]bool{
		"SELECT shard FROM m WHERE address = {user}":                                false,
		"SELECT max(shard) AS database FROM m WHERE address LIKE {user} GROUP BY x": true,
		"SELECT address AS user, shard FROM m WHERE address LIKE {user}":            false,
		"SELECT DISTINCT shard FROM m WHERE address = {user}":                       true,
	} {
		file := site.write(t, fmt.Sprintf("directory: {sources: [{sql: {dsn_file: dsn, query: %q}}]}\n", query))
		status, out, _ := command("check", "--config", file)
		if status != cli.StatusFine || strings.Contains(out, "as the column user") != warned {
			t.Errorf("%s: status %d: %s", query, status, out)
		}
	}
}

func TestCheckReadsMapFiles(t *testing.T) {
	site := newSite(t)
	file := site.withDirectory(t, "http://127.0.0.1:1")
	users := filepath.Join(site.dir, "users.map")
	for text, want := range map[string]struct {
		status int
		out    string
	}{
		"alice db1\n":            {cli.StatusFine, ": fine"},
		"alice db1\nbob db1 db2": {cli.StatusBad, "directory.sources[1]: " + users + ":2: "},
	} {
		if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, out, _ := command("check", "--config", file); status != want.status ||
			!strings.Contains(out, want.out) {
			t.Errorf("%q: status %d, %s", text, status, out)
		}
	}
}
