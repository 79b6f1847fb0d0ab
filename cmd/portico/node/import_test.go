package node

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/goccy/go-yaml"
	_ "github.com/jackc/pgx/v5/stdlib"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// importSecret is every secret of the imported configurations, before what they are for.
const importSecret = "hush-hush"

// imported is a configuration that portico config import has made, with the addresses of this test.
type imported struct {
	*site
	tree    map[string]any
	dovecot *backendtest.Dovecot
}

// Each configuration that portico config import makes in its own tests is served, and a user signs in through it to a
// real Dovecot. Addresses, certificates and trusted networks are replaced by those of this test, and nothing else.
func TestImportedConfigurations(t *testing.T) {
	testkit.NoLeaks(t)
	s := newSite(t)
	cert, err := s.ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	users := []backendtest.User{{Name: "alice", Password: "secret"}, {Name: "alice@example.org", Password: "secret"}}
	dovecot := testkit.Dovecot(t, backendtest.DovecotOptions{Certificate: cert, Proxied: true, Users: users,
		Masters: map[string]string{"proxy": importSecret + "-master"}})
	directories := importDirectories(t, s, dovecot)
	folders, err := filepath.Glob("../../../configs/importer/testdata/*/expected")
	if err != nil || len(folders) < 12 {
		t.Fatalf("%d configurations: %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(filepath.Dir(folder)), func(t *testing.T) {
			im := &imported{site: &site{dir: t.TempDir(), ca: s.ca}, dovecot: dovecot}
			im.read(t, folder)
			im.localise(t)
			directories.apply(t, im, folder)
			text, err := yaml.Marshal(im.tree)
			if err != nil {
				t.Fatal(err)
			}
			im.put(t, "portico.yaml", string(text))
			im.tries(t, im.serve(t, filepath.Join(im.dir, "portico.yaml")))
		})
	}
}

// read reads the configuration and copies the files beside it.
func (im *imported) read(t *testing.T, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		im.put(t, file.Name(), string(text))
		if file.Name() == "portico.yaml" {
			err = yaml.Unmarshal(text, &im.tree)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// localise replaces what only the machine of the source has.
func (im *imported) localise(t *testing.T) {
	t.Helper()
	im.certificate(t, "mail", "localhost", "127.0.0.1")
	ca, err := im.ca.WriteFile(im.dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, listener := range im.tree["listeners"].([]any) {
		listener.(map[string]any)["address"] = fmt.Sprintf("127.0.0.%d:0", i+2)
	}
	if of, ok := im.tree["tls"].(map[string]any); ok {
		of["certificates"] = []any{map[string]any{"cert": "mail.crt", "key": "mail.key"}}
	}
	if im.tree["trusted_networks"] != nil {
		im.tree["trusted_networks"] = []any{"192.0.2.0/24"} // this test sends no header of the PROXY protocol
	}
	for _, server := range im.tree["mailbox_servers"].(map[string]any) {
		of := server.(map[string]any)
		tls, header := of["tls"] == "implicit", of["proxy_protocol"] != nil
		of["address"] = map[[2]bool]string{{false, false}: im.dovecot.Plain, {true, false}: im.dovecot.TLS,
			{false, true}: im.dovecot.ProxiedPlain, {true, true}: im.dovecot.ProxiedTLS}[[2]bool{tls, header}]
		delete(of, "server_name")
		delete(of, "source_addresses")
		if of["ca"] != nil || of["tls"] != "none" && of["insecure_skip_verify"] == nil {
			of["ca"] = ca
		}
	}
	im.tree["admin"] = map[string]any{"socket": "admin.sock", "address": "127.0.0.1:0"}
	im.tree["data_dir"] = "data"
}

// tries signs alice in at every listener.
func (im *imported) tries(t *testing.T, r *running) {
	t.Helper()
	user := "alice"
	if im.tree["directory"] != nil && strings.Contains(fmt.Sprint(im.tree["directory"]), "ldap") ||
		strings.Contains(fmt.Sprint(im.tree["directory"]), "sql") {
		user = "alice@example.org"
	}
	for i, listener := range im.tree["listeners"].([]any) {
		address := r.clients.listeners.addresses()[i].String()
		mode := listener.(map[string]any)["tls"]
		trust := im.ca.ClientConfig("localhost")
		if mode != "implicit" {
			trust = nil
		}
		c := testkit.Dial(t, address, trust)
		c.Expect("* OK *")
		if mode == "starttls" {
			c.Command("a", "STARTTLS")
			c.StartTLS(im.ca.ClientConfig("localhost"))
		}
		c.Command("b", "LOGIN "+user+" secret")
		c.Command("c", "SELECT INBOX")
		c.Close()
	}
}

// importedDirectories are the servers that imported configurations ask.
type importedDirectories struct {
	authHTTP               string
	postgres, maria, slapd *backendtest.Daemon
	ca                     string
}

// importDirectories starts the servers. All say that alice is on the mailbox server mbx1.example.org.
func importDirectories(t *testing.T, s *site, dovecot *backendtest.Dovecot) *importedDirectories {
	t.Helper()
	d := &importedDirectories{}
	host, port, _ := strings.Cut(dovecot.Plain, ":")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Auth-Pass") != "secret" {
			w.Header().Set("Auth-Status", "Invalid login or password")
			return
		}
		at := port
		if strings.HasPrefix(r.URL.Path, "/proxied") {
			_, at, _ = strings.Cut(dovecot.ProxiedPlain, ":")
		}
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", host)
		w.Header().Set("Auth-Port", at)
	}))
	t.Cleanup(web.Close)
	d.authHTTP = web.URL
	d.postgres = testkit.Daemon(t, func(ctx context.Context) (*backendtest.Daemon, error) {
		return backendtest.StartPostgres(ctx, importSecret+"-sql")
	})
	d.maria = testkit.Daemon(t, func(ctx context.Context) (*backendtest.Daemon, error) {
		return backendtest.StartMariaDB(ctx, importSecret+"-sql")
	})
	fillTables(t, "pgx", "postgres://portico:"+importSecret+"-sql@"+d.postgres.Address+"/postgres?sslmode=disable",
		"CREATE TABLE mailboxes (address TEXT, host TEXT, note TEXT)",
		"INSERT INTO mailboxes VALUES ('alice@example.org', 'mbx1.example.org', '')")
	fillTables(t, "mysql", "portico:"+importSecret+"-sql@tcp("+d.maria.Address+")/portico",
		"CREATE TABLE mailboxes (local VARCHAR(99), domain VARCHAR(99), host VARCHAR(99))",
		"INSERT INTO mailboxes VALUES ('alice', 'example.org', 'mbx1.example.org')",
		"CREATE TABLE mailmap (user VARCHAR(99), servername VARCHAR(99), port VARCHAR(9))",
		"INSERT INTO mailmap VALUES ('alice@example.org', 'mbx1.example.org', '143')")
	cert, err := s.ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
	if err == nil {
		d.ca, err = s.ca.WriteFile(s.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.slapd = testkit.Daemon(t, func(ctx context.Context) (*backendtest.Daemon, error) {
		return backendtest.StartSlapd(ctx, backendtest.SlapdOptions{Certificate: cert, Password: importSecret + "-ldap",
			LDIF: "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: " +
				"Example\n\n" +
				"dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n\n" +
				"dn: uid=alice,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: alice\ncn: A\nsn: A\n" +
				"mail: alice@example.org\ncarLicense: mbx1.example.org\n"})
	})
	return d
}

func fillTables(t *testing.T, driver, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
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

// apply replaces the addresses of directories.
func (d *importedDirectories) apply(t *testing.T, im *imported, folder string) {
	t.Helper()
	directory, _ := im.tree["directory"].(map[string]any)
	sources, _ := directory["sources"].([]any)
	for _, source := range sources {
		of := source.(map[string]any)
		if web, ok := of["http"].(map[string]any); ok {
			path := "/auth"
			if strings.Contains(fmt.Sprint(im.tree["mailbox_servers"]), "proxy_protocol") {
				path = "/proxied"
			}
			web["urls"] = []any{d.authHTTP + path}
		}
		if _, ok := of["sql"].(map[string]any); ok {
			dsn, err := os.ReadFile(filepath.Join(im.dir, "directory.dsn"))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer("127.0.0.1:5432", d.postgres.Address, "127.0.0.1:3306", d.maria.Address,
				"sql.example.org:3306", d.maria.Address, "?tls=true", "").Replace(string(dsn))
			im.put(t, "directory.dsn", text)
		}
		if ldap, ok := of["ldap"].(map[string]any); ok {
			ldap["urls"], ldap["ca"] = []any{"ldap://" + d.slapd.Address}, d.ca
			ldap["starttls"] = true
		}
	}
	verify, _ := directory["verify"].([]any)
	for _, verifier := range verify {
		users, err := filepath.Abs(filepath.Join(filepath.Dir(folder), "users"))
		if err != nil {
			t.Fatal(err)
		}
		verifier.(map[string]any)["file"] = users
	}
}
