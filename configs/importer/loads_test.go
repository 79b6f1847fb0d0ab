package importer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/directory"
	"portico/configs"
)

// fileKeys are the names of keys that name files. The files of a test are not there.
var fileKeys = func() map[string]bool {
	names := map[string]bool{}
	for _, key := range configs.Keys() {
		if key.Type == "file" {
			names[key.Path[strings.LastIndexByte(key.Path, '.')+1:]] = true
		}
	}
	return names
}()

// loads reports a result that Portico would not load, files apart.
func loads(t *testing.T, r *Result) {
	t.Helper()
	var problems configs.Problems
	if _, err := configs.LoadText(root+"/portico.yaml", r.Config); err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	for _, p := range problems.Errors() {
		if !fileKeys[p.Path[strings.LastIndexByte(p.Path, '.')+1:]] {
			t.Errorf("the result does not load: %v\n%s", p, r.Config)
		}
	}
	for _, file := range r.Files {
		if file.Secret {
			continue
		}
		name := filepath.Join(t.TempDir(), file.Name)
		if err := os.WriteFile(name, []byte(file.Content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := directory.OpenFile(directory.FileOptions{Path: name, Now: time.Now, Report: func(error) {},
			Wait: func(ctx context.Context, f func(context.Context)) { f(ctx) }})
		if err != nil {
			t.Errorf("%v\n%s", err, file.Content)
		}
	}
}

// Whatever a source says, the result loads: what Portico's own rules refuse becomes a comment.
func TestResultsLoad(t *testing.T) {
	const dovecot = "passdb {\n driver = static\n args = proxy=y starttls=y "
	for name, c := range map[string]struct {
		kind, text string
		wants      []string
	}{
		"names alike": {"haproxy", "listen imap\n bind :143\n server MBX 10.0.0.1:143\n server mbx 10.0.0.2:143\n",
			[]string{"mbx-143:"}},
		"underscore": {"haproxy", "listen imap\n bind :143\n server a mbx_1:143\n",
			[]string{"decide: no address"}},
		"underscore name": {"nginx", streamServer("proxy_ssl on; proxy_ssl_name mbx_1;"), []string{"no host name"}},
		"variable name":   {"nginx", streamServer("proxy_ssl on; proxy_ssl_name $host;"), []string{"no host name"}},
		"variable CA": {"nginx", streamServer("proxy_ssl_trusted_certificate /etc/$x;"),
			[]string{"has a variable"}},
		"variable address": {"nginx", streamServer("proxy_bind 10.0.0;"), []string{"no address to connect from"}},
		"domain": {"dovecot-proxy", "auth_default_realm = _x\n" + dovecot + "host=a\n}\n",
			[]string{"no name of"}},
		"hostip":      {"dovecot-proxy", dovecot + "host=a_b hostip=10.0.0.1\n}\n", []string{"no host name"}},
		"certificate": {"dovecot-proxy", "ssl_cert = </a/$x\nssl_key = </b\n", []string{"has a variable"}},
		"certificate 2.4": {"dovecot-proxy", "ssl_server_cert_file = /%{x}\nssl_server_key_file = /b\n",
			[]string{"has a"}},
		"sources": {"dovecot-proxy", "login_source_ips = ?a\n" + dovecot + "host=a\n}\n",
			[]string{"no address to"}},
		"port":    {"dovecot-proxy", dovecot + "host=10.0.0.1 port=%d\n}\n", []string{"no valid port"}},
		"address": {"dovecot-proxy", "listen = $ENV:IP\n", []string{"is no address to listen on"}},
		"ldapi": {"perdition", "protocol IMAP4\nmap_library libperditiondb_ldap.so\nmap_library_opt " +
			"ldap:///dc=x?mail,host?sub?(mail=%s)\n", []string{"cannot ask LDAP"}},
		"ldapi 2.4": {"dovecot-proxy", "passdb ldap {\n ldap_uris = ldapi://localhost\n ldap_base = dc=x\n filter = " +
			"(uid=%{user})\n fields {\n  host = %{ldap:h}\n }\n}\n", []string{"addresses of TCP, by ldap or ldaps"}},
		"bad rules": {"perdition", "protocol IMAP4\nmap_library \"\"\noutgoing_server mbx_1,10.0.0.1\n",
			[]string{"decide: \"mbx_1\""}},
		"bind": {"haproxy", "listen imap\n bind !:143\n server a 10.0.0.1:143\n", []string{"bind !:143: decide:"}},
		"no file": {"dovecot-director", "director_mail_servers = 10.0.0.1\nssl_cert = <\nssl_key = <\n",
			[]string{"decide: names no file"}},
		"explicit domain": {"perdition", "protocol IMAP4\nmap_library \"\"\nadd_domain all\nexplicit_domain _x\n" +
			"outgoing_server 10.0.0.1\n", []string{"no name of a domain"}},
		"connection": {"dovecot-proxy", "passdb sql {\n query = SELECT host FROM u WHERE n = '%u'\n}\n" +
			"sql_driver = pgsql\npgsql localhost {\n parameters {\n  password = $ENV:DB\n  sslmode = require\n }\n}\n",
			[]string{"the connection has a variable in it", "without the parameters sslmode"}},
		"header variable": {"nginx", "mail {\n auth_http localhost;\n auth_http_header X-Key ${A_LONG_SECRET_KEY};\n" +
			" server {\n listen 143;\n }\n}\n", []string{"!secret_header:"}},
		"auth server": {"nginx", "mail {\n auth_http ftp://localhost;\n server {\n listen 143;\n }\n}\n",
			[]string{"Portico asks web servers by http or https"}},
		"variable auth server": {"nginx", "mail {\n auth_http localhost/$x;\n server {\n listen 143;\n }\n}\n",
			[]string{"without variables"}},
		"header": {"nginx", "mail {\n auth_http localhost;\n auth_http_header \"X Y\" 0123456789abcdef;\n" +
			" server {\n listen 143;\n }\n}\n", []string{"!secret_header:"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, c.kind, c.text, c.wants...) })
	}
}

// streamServer is a server of nginx's stream module with more directives.
func streamServer(more string) string {
	return "stream {\n server {\n listen 993;\n proxy_pass 10.0.0.1:993;\n " + more + "\n }\n}\n"
}
