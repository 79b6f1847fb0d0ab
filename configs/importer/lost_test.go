package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A directive that no rule knows becomes a comment, wherever it stands.
func TestUnknownDirectivesBecomeComments(t *testing.T) {
	for kind, text := range map[string]string{
		"nginx": "odd 1;\nmail {\n odd 2;\n auth_http localhost/auth;\n server {\n listen 143;\n odd 3;\n }\n}\n" +
			"stream {\n odd 4;\n upstream m {\n server 10.0.0.1:143;\n odd 5;\n }\n" +
			" server {\n listen 1143;\n proxy_pass m;\n odd 6;\n }\n}\n",
		"perdition": "protocol IMAP4\noutgoing_server 10.0.0.1\nmap_library \"\"\nodd 1\nodd 2\n",
		"dovecot-proxy": "odd = 1\nssl_cert = </a\nssl_key = </b\npassdb {\n driver = static\n" +
			" args = proxy=y host=10.0.0.1\n odd = 2\n}\nprotocol imap {\n odd = 3\n}\n" +
			"service imap-login {\n inet_listener imap {\n odd = 4\n }\n odd = 5\n}\n",
		"haproxy": "global\n odd 1\ndefaults\n odd 2\nfrontend f\n bind :143\n default_backend b\n odd 3\nbackend b\n" +
			" server s 10.0.0.1:143\n odd 4\n",
	} {
		result := importText(t, kind, text)
		for n := range strings.Count(text, "odd") {
			if want := fmt.Sprintf(": odd %d: no counterpart: ", n+1); !strings.Contains(result, want) {
				t.Errorf("%s: the result has no%s\n%s", kind, want, result)
			}
		}
	}
}

func importText(t *testing.T, kind, text string) string {
	t.Helper()
	result, err := importFrom(textSource(text), kind, []string{root + "/source"}, Options{})
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	loads(t, result)
	return string(result.Config)
}

// textSource has one file, source, in root.
func textSource(text string) *source {
	return &source{base: root, glob: filepath.Glob, read: func(name string) ([]byte, error) {
		if name != root+"/source" {
			return nil, os.ErrNotExist
		}
		return []byte(text), nil
	}}
}

// Errors name file and line, and no input is without bounds.
func TestBadSources(t *testing.T) {
	deep := strings.Repeat("a {\n", maxDepth+2)
	for _, c := range []struct{ kind, text, want string }{
		{"nginx", "mail {\n listen 1;", "source:2: unexpected end of the file"},
		{"nginx", "a 'b", "source:1: the quote has no end"},
		{"nginx", "a;\n}", "source:2: unexpected }"},
		{"nginx", "x;\ninclude source;", "source:2: include: source includes itself"},
		{"nginx", "include other;", "source:1: include: file does not exist"},
		{"nginx", deep, "too deep"},
		{"nginx", "", "there is no directive in it"},
		{"dovecot-proxy", "passdb {", "a block has no end"},
		{"dovecot-proxy", "}", "source:1: unexpected }"},
		{"dovecot-proxy", deep, "too deep"},
		{"dovecot-proxy", "!include source", "source includes itself"},
		{"dovecot-proxy", "protocols = pop3", "has no imap"},
		{"dovecot-proxy", "director_mail_servers = 10.0.0.1", "portico config import dovecot-director"},
		{"dovecot-director", "protocols = imap", "portico config import dovecot-proxy"},
		{"dovecot-director", "dovecot_config_version = 2.4.0", "no director in Dovecot 2.4"},
		{"haproxy", "bind :143", `source:1: "bind" is in no section`},
		{"haproxy", "global\n x \"y", "source:2: the quote has no end"},
		{"perdition", "protocol POP3", "protocol is POP3"},
		{"perdition", strings.Repeat("a\n", maxDirectives+1), "more than 20000 directives"},
	} {
		_, err := importFrom(textSource(c.text), c.kind, []string{root + "/source"}, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.40q: %v, want %q", c.kind, c.text, err, c.want)
		}
	}
	if _, err := Import("nginx", []string{"/dev/zero"}, Options{}); err == nil {
		t.Error("a device was read")
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "1h 30m": 90 * time.Minute, "5 mins": 5 * time.Minute, "500ms": 500 * time.Millisecond,
		"4 secs": 4 * time.Second, "2d": 48 * time.Hour, "999999999w": 10 * 365 * 24 * time.Hour,
	} {
		if got, err := duration(text, time.Second); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "5 fortnights", "-3s", "3s later"} {
		if got, err := duration(text, time.Second); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Queries are translated whole, or not at all.
func TestParseQuery(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"SELECT host, 'Y' AS proxy FROM u WHERE name='%u'",
			"SELECT host AS server FROM u WHERE name={user}"},
		{"select u.h as host, u.n user from u where n = '%n' and d = '%{domain}';",
			`SELECT u.n AS "user", u.h AS server FROM u where n = {local} and d = {domain}`},
		{"SELECT COALESCE(a, ',b') AS host FROM u WHERE n = '%Lu'",
			"SELECT COALESCE(a, ',b') AS server FROM u WHERE n = {user}"},
		{"SELECT username, domain, host FROM u WHERE n = '%u'",
			`SELECT username || '@' || domain AS "user", host AS server FROM u WHERE n = {user}`},
		{"SELECT AES_DECRYPT(host, 'key') AS host FROM u WHERE n = '%u'", ""},
		{"SELECT host FROM u WHERE n LIKE '%u%%'", ""},
		{"SELECT host FROM u WHERE n = '%u' AND s = '%s'", ""},
		{"SELECT host FROM u WHERE n = '%u' AND j = '{1}'", ""},
		{"SELECT host FROM u WHERE n = 'all'", ""},
		{"CALL route('%u')", ""},
	} {
		q, ok := parseQuery(c.text, "postgres", nil)
		if ok != (c.want != "") || ok && q.text != c.want {
			t.Errorf("%s\nbecomes %v %s\nwant    %s", c.text, ok, q.text, c.want)
		}
	}
}
