package importer

import (
	"path/filepath"
	"strings"
	"testing"
)

// filesSource has files in root, by name.
func filesSource(files map[string]string) *source {
	return &source{base: root, glob: filepath.Glob, read: func(name string) ([]byte, error) {
		text, there := files[strings.TrimPrefix(name, root+"/")]
		if !there {
			return textSource("").read("")
		}
		return []byte(text), nil
	}}
}

// The fields of a user come from default_fields, the line and override_fields, in this order. None of them is lost, and
// a user who may sign in only from some networks, or not at all, is refused.
func TestDovecotUsers(t *testing.T) {
	files := map[string]string{
		"source": "ssl_cert = </a\nssl_key = </b\npassdb {\n driver = passwd-file\n args = scheme=CRYPT users\n" +
			" default_fields = proxy=y starttls=yes host=mbx9.example.org nodelay=y\n" +
			" override_fields = starttls=any-cert destuser=%u\n}\n",
		"users": "a:x::::::host=mbx1.example.org starttls=no\n" +
			"b:x::::::allow_nets=192.0.2.0/24\n" +
			"c:x::::::nologin=y reason=moving\n" +
			"d:!::::::\n" +
			"e:x::::::userdb_quota_rule=*:storage=1G odd=1\n" +
			"f:x::::::odd=2\n" +
			"A:x::::::\n" +
			"g:x::::::master=other pass=" + secretMark + "\n" +
			"h:x::::::host=mbx_1.example.org\n" +
			"@i:x::::::\n",
	}
	result, err := importFrom(filesSource(files), "dovecot-proxy", []string{root + "/source"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `# users:1: a: no counterpart: field starttls: the passdb overrides it
a database=db1
# users:2: b: decide: refused: field allow_nets: 192.0.2.0/24
b refuse allow_nets
# users:3: c: decide: refused: field nologin: y
# users:3: c: no counterpart: field reason: Portico gives everybody who is refused the same answer
c refuse nologin
d refuse locked
# users:5: e: no counterpart: field odd: Portico has no such field
# users:5: e: no counterpart: field userdb_quota_rule: it is for mailbox servers
e database=db2
# users:6: f: no counterpart: field odd: Portico has no such field
f database=db2
# users:7: A: decide: not taken over: an earlier line has the same name. Small and capital letters are alike in ` +
		`Portico (users:1)
# users:8: g: decide: field master: this user has another one, or none. Portico has one master user (signin.master)
g database=db2
# users:9: h: decide: not taken over: the line names no server that Portico can use
# users:10: @i: decide: not taken over: a map file has no such names
`
	if len(result.Files) != 1 || result.Files[0].Content != want {
		t.Errorf("users.map is %+v", result.Files)
	}
	text := string(result.Config)
	for _, want := range []string{
		"insecure_skip_verify: true", "nodelay=y: no counterpart: field nodelay",
		"field odd: Portico has no such field", "users:5 and 1 more line of it: see users.map",
	} {
		if !strings.Contains(strings.ReplaceAll(text, "\n#   ", " "), want) {
			t.Errorf("the result has no %q:\n%s", want, text)
		}
	}
	if n := decisions(text); n != result.Decide || strings.Contains(text, secretMark) {
		t.Errorf("%d decisions, want %d:\n%s", n, result.Decide, text)
	}
}

// The fields that a passdb gives all users are never lost either, whatever the driver.
func TestDovecotFields(t *testing.T) {
	const certificate = "ssl_cert = </a\nssl_key = </b\n"
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"static": {"passdb {\n driver = static\n args = proxy=y host=10.0.0.1 starttls=yes odd=1 nologin=y\n}\n",
			[]string{"no counterpart: field odd:", "decide: field nologin:", "tls: starttls"}},
		"order": {"passdb {\n driver = static\n default_fields = host=10.0.0.1\n" +
			" args = proxy=y host=10.0.0.2 ssl=yes\n" +
			" override_fields = host=10.0.0.3\n}\n",
			[]string{"10.0.0.3:993", "!10.0.0.2:", "!\"10.0.0.1:", "field host: the value at source:7 applies"}},
		"second master": {"passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=yes pass=a master=m\n}\n" +
			"passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=yes pass=b master=n odd=1\n}\n",
			[]string{"decide: field master: another passdb", "field odd: Portico has no such field"}},
		"all into one": {"passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=yes destuser=archive\n}\n",
			[]string{"decide: field destuser: all users would open one mailbox"}},
		"SQL": {"passdb sql {\n query = SELECT host, 'y' AS nologin, 'no' AS allow_nets, q FROM u WHERE n = '%u'\n" +
			" fields {\n  host:default = 10.0.0.9\n  odd = 1\n }\n}\nsql_driver = pgsql\npgsql localhost {\n}\n",
			[]string{"decide: field allow_nets:", "decide: field nologin:", "field odd:", "without the columns q",
				"users whose entry names no server go to \"10.0.0.9\""}},
		"SQL, one server": {"passdb sql {\n query = SELECT host FROM u WHERE n = '%u'\n fields {\n" +
			"  host = 10.0.0.9\n  ssl = yes\n }\n}\nsql_driver = pgsql\npgsql localhost {\n}\n",
			[]string{"10.0.0.9:993", "!query:"}},
		"LDAP": {"passdb ldap {\n ldap_uris = ldaps://localhost\n ldap_base = dc=x\n filter = (uid=%{user})\n" +
			" fields {\n host = %{ldap:mailHost}\n  allow_nets = %{ldap:nets}\n  port = %{ldap:port}\n  odd = 1\n" +
			" }\n}\n",
			[]string{"server: mailHost", "decide: field allow_nets: without nets", "decide: field port: without port",
				"field odd:"}},
		"one user": {"passdb {\n driver = static\n username_filter = *@example.org\n" +
			" args = proxy=y host=10.0.0.1 ssl=y\n}\n",
			[]string{"username_filter *@example.org: decide:"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "dovecot-proxy", certificate+c.text, c.wants...) })
	}
}

// Listeners without a name are listeners too, blocks of one name are one, and a block may be on one line.
func TestDovecotListeners(t *testing.T) {
	const proxy = "passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=yes\n}\n"
	service := func(text string) string { return "service imap-login {\n" + text + "}\n" + proxy }
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"no name": {service("inet_listener {\n port = 1143\n}\ninet_listener {\n port = 2143\n}\n"),
			[]string{":1143", ":2143"}},
		"two blocks": {service("inet_listener x {\n port = 1993\n}\n") + service("inet_listener x {\n ssl = yes\n}\n"),
			[]string{`{address: "[::]:1993", tls: implicit}`}},
		"one line": {service("inet_listener imap { port = 0 }\n"), []string{"!:143\"", ":993"}},
		"all on one": {"service imap-login { inet_listener imap { port = 1143 } }\n" + proxy,
			[]string{":1143", "!:143\""}},
		"no port": {service("inet_listener x {\n ssl = yes\n}\n"),
			[]string{"Dovecot does not listen there", ":143", ":993"}},
		"protocols": {"protocols { imap = yes }\n" + proxy, []string{":143"}},
		"others": {"protocols {\n imap = yes\n lmtp = yes\n pop3 = no\n}\n" + proxy,
			[]string{"no counterpart: lmtp. Portico"}},
		"variables": {"auth_username_format = %{user}\n" + proxy,
			[]string{"auth_username_format %{user}: taken"}},
		"passdb of protocol imap": {"protocol imap {\n" + proxy + "}\n", []string{"10.0.0.1:993"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "dovecot-proxy", c.text, c.wants...) })
	}
	for text, want := range map[string]string{
		"protocols { imap = no }":                              "protocols has no imap",
		"protocols {\n imap = yes\n}\nprotocols { imap = no }": "protocols has no imap",
		"protocols { imap = yes lmtp = yes }":                  "several settings on one line",
		"a { b { c = d } } }":                                  "unexpected }",
	} {
		_, err := importFrom(textSource(text), "dovecot-proxy", []string{root + "/source"}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A Dovecot that is no proxy gets a server that does not exist, and a comment that says what to put in its place.
func TestDovecotThatIsNoProxy(t *testing.T) {
	has(t, "dovecot-proxy", "mail_location = maildir:~/Maildir\npassdb {\n driver = static\n args = password=x\n}\n",
		"decide: this Dovecot is no proxy: no passdb says proxy", "put its host and port in the place of mbx1.invalid")
	has(t, "dovecot-proxy", "passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=y\n}\n", "!is no proxy")
}

// ssl_client_ca_file stays with a server whose certificate Dovecot does not verify: then one key is to be removed.
func TestDovecotCA(t *testing.T) {
	has(t, "dovecot-proxy", "ssl_client_ca_file = /ca\npassdb {\n driver = static\n"+
		" args = proxy=y host=10.0.0.1 ssl=any-cert\n}\n",
		"ca: /ca", "insecure_skip_verify: true", "which is in ca: remove this key",
		"!ssl_client_ca_file /ca: no counterpart")
}
