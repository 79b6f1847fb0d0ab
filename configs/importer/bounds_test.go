package importer

import (
	"fmt"
	"strings"
	"testing"
)

// No source makes the importer work for long: more of anything than a site can have ends it.
func TestSourcesOfTooMuch(t *testing.T) {
	many := func(format string) string {
		var b strings.Builder
		for i := range maxThings + 1 {
			fmt.Fprintf(&b, format, i/250, i%250)
		}
		return b.String()
	}
	for _, c := range []struct{ kind, text, want string }{
		{"haproxy", "listen imap\n bind :143\n" + many(" server s 10.0.%d.%d:143\n"), "mailbox servers"},
		{"haproxy", "listen imap\n server s 10.0.0.1:143\n" + many(" bind 10.1.%d.%d:143\n"), "listeners"},
		{"dovecot-director", "director_mail_servers = " + many("10.2.%d.%d "), "mailbox servers"},
		{"dovecot-proxy", "login_trusted_networks = " + many("10.3.%d.%d "), "trusted networks"},
		{"nginx", "mail {\n auth_http localhost;\n server {\n listen 993 ssl;\n" +
			many(" ssl_certificate %d-%d.crt;\n") + many(" ssl_certificate_key %d-%d.key;\n") + "}\n}", "certificates"},
	} {
		_, err := importFrom(textSource(c.text), c.kind, []string{root + "/source"}, Options{})
		if want := fmt.Sprintf("more than %d "+
			"%s", maxThings, c.want); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", c.kind, err, want)
		}
	}
}

// Many servers make no file that grows with the square of their number.
func TestManyServers(t *testing.T) {
	text := importText(t, "dovecot-director", "director_mail_servers = 10.0.0.1-10.0.0.200\nssl_cert = </a\nssl_key = "+
		"</b\npassdb {\n driver = static\n args = proxy=y nopassword=y starttls=yes\n}\n")
	for _, want := range []string{
		`db200: {copies: ["10.0.0.200", "10.0.0.1", "10.0.0.2", "10.0.0.3"], interchangeable: true}`, "routing: hash",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the result has no %s", want)
		}
	}
	if len(text) > 64<<10 {
		t.Errorf("the result has %d bytes", len(text))
	}
}

// Secrets in places where no setting for secrets is are in no comment and no key.
func TestSecretsStayOut(t *testing.T) {
	for name, text := range map[string]string{
		"nginx key": "mail {\n auth_http http://localhost/auth;\n server {\n listen 993 ssl;\n" +
			" ssl_certificate a.crt;\n" +
			" ssl_certificate_key \"data:-----BEGIN PRIVATE KEY-----\\n" + secretMark + "\";\n }\n}\n",
		"nginx both": "mail {\n auth_http http://localhost/auth;\n server {\n listen 993 ssl;\n" +
			" ssl_certificate \"data:" + secretMark + "\";\n ssl_certificate_key \"data:" + secretMark + "\";\n }\n}\n",
		"haproxy checks": "global\n setenv API " + secretMark + "\nlisten imap\n bind :143\n option tcp-check\n" +
			" tcp-check send \"a1 LOGIN probe " + secretMark + "\\r\\n\"\n" +
			" http-check send hdr Authorization \"Basic " + secretMark + "\"\n server s 10.0.0.1:143\n",
		"dovecot-proxy fields": "auth_policy_hash_nonce = " + secretMark + "\npassdb {\n driver = static\n" +
			" default_fields = host=10.0.0.2 pass=" + secretMark + "\n args = proxy=y host=10.0.0.1\n}\n",
		"dovecot-proxy query": "sql_driver = sqlite\npassdb sql {\n query = SELECT '" + secretMark +
			"' AS pass, host FROM u\n}\n",
		"nginx": "mail {\n auth_http http://portico:" + secretMark + "@localhost/auth;\n auth_http_header X-Key " +
			"" + secretMark +
			";\n api_key " + secretMark + ";\n server {\n listen 993 ssl;\n }\n}\n",
		"haproxy": "listen imap\n bind :143\n server s 10.0.0.1:143\n stats auth admin:" + secretMark +
			"\n http-request set-header X-Token " + secretMark + "\n",
		"perdition": "protocol IMAP4\nmap_library libperditiondb_ldap.so\nmap_library_opt \"ldap://u:" + secretMark +
			"@ldap.example.org/dc=x?mail,host?sub?(mail=%s)\"\nodd_password " + secretMark + "\n",
		"dovecot-proxy": "ssl_key_password = " + secretMark + "\npassdb {\n driver = static\n args = proxy=y " +
			"host=10.0.0.1 pass=" +
			secretMark + " master=m\n}\npassdb {\n driver = imap\n args = password=" + secretMark + "\n}\n",
	} {
		kind, _, _ := strings.Cut(name, " ")
		if result := importText(t, kind, text); strings.Contains(result, secretMark) {
			t.Errorf("%s: the result has a secret:\n%s", name, result)
		}
	}
}
