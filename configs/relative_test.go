package configs

import (
	"os"
	"path/filepath"
	"testing"
)

// Files that elements of maps name lie beside the configuration, too.
func TestFilesInMapsAreRelative(t *testing.T) {
	dir := secrets(t)
	for name, text := range map[string]string{
		"hook.token": "0123456789abcdef\n", "health.password": "secret\n",
		"portico.yaml": `listeners: [{address: "127.0.0.1:143", tls: starttls}]
tls: {certificates: [{cert: mail.crt, key: mail.key}]}
mailbox_servers: {mbx1: {address: "10.0.0.11:993", ca: ca.crt}}
databases: {db1: {copies: [mbx1], activate: {url: "https://storage.example.org/", ca: ca.crt, token_file: hook.token}}}
health: {mailboxes: {db1: {user: health, password_file: health.password}}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "portico.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	hook := c.Databases["db1"].Activate
	for _, path := range []string{c.MailboxServers["mbx1"].CA, hook.CA, hook.TokenFile,
		c.Health.Mailboxes["db1"].PasswordFile} {
		if filepath.Dir(path) != dir {
			t.Errorf("%s does not lie beside the configuration", path)
		}
	}
}
