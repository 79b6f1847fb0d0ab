package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// What operators have set comes back from a copy of the store, after the folder with the store is lost: docs/backup.md.
func TestDocumentedRestore(t *testing.T) {
	sink, _ := testkit.Sink(t)
	file := writeExample(t, fmt.Sprintf(`data_dir: data
listeners: [{address: "127.0.0.1:0", tls: starttls}]
admin: {socket: admin.sock, address: ""}
routing: hash
mailbox_servers: {mbx1: {address: %[1]q, tls: none}, mbx2: {address: %[1]q, tls: none}}
databases: {db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx2, mbx1]}}
`, sink))
	dir := filepath.Dir(file)
	asks := func(args string) string {
		t.Helper()
		status, out, errs := command(append(strings.Fields(args), "--admin", filepath.Join(dir, "admin.sock"))...)
		if status != cli.StatusFine {
			t.Errorf("portico %s: %d\n%s%s", args, status, out, errs)
		}
		return out
	}
	var before string
	copied := filepath.Join(dir, "portico.backup")
	t.Run("back up", func(t *testing.T) {
		serveUntilEnd(t, file)
		asks("settings set max_connections_per_user=20")
		asks("database move db1 mbx2")
		asks("server policy mbx1 Blocked")
		asks("log on --user alice --for 2h")
		asks("store backup " + copied)
		before = asks("store show")
	})
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := command("store", "restore", "-c", file, copied); status != cli.StatusFine {
		t.Fatalf("%d\n%s%s", status, out, errs)
	}
	t.Run("restored", func(t *testing.T) {
		serveUntilEnd(t, file)
		if after := asks("store show"); after != before || !strings.Contains(after, "settings") {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		if got := asks("settings get"); !regexp.MustCompile(`max_connections_per_user +20 +`).MatchString(got) {
			t.Error(got)
		}
	})
}

// The script that certbot and lego run puts a pair where the configuration of the page has it.
func TestDocumentedCertificateScript(t *testing.T) {
	page := readPage(t, "docs/certificates.md")
	script := regexp.MustCompile("(?s)```sh\n(#!/bin/sh\n.*?)```").FindStringSubmatch(page)
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page)
	if script == nil || example == nil {
		t.Fatal("the page has no script or no example")
	}
	file := writeExample(t, example[1])
	dir := filepath.Dir(file)
	lineage := t.TempDir()
	for name, from := range map[string]string{"fullchain.pem": "mail.crt", "privkey.pem": "mail.key"} {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(lineage, name)); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("/etc/portico", dir, " -g portico", "").Replace(script[1])
	for name, variables := range map[string][]string{
		"certbot": {"RENEWED_LINEAGE=" + lineage},
		"lego": {"LEGO_CERT_PATH=" + filepath.Join(lineage, "fullchain.pem"),
			"LEGO_CERT_KEY_PATH=" + filepath.Join(lineage, "privkey.pem")},
	} {
		if err := os.RemoveAll(filepath.Join(dir, "certificates")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-c", here)
		cmd.Env = append(os.Environ(), variables...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if status, out, errs := command("check", "--config", file); status != cli.StatusFine {
			t.Errorf("%s: %d: %s%s", name, status, out, errs)
		}
	}
}

// With the configurations of docs/install.md, in front of the servers that they are for, a user signs in and the probes
// of the health mailbox succeed. Only addresses are others, and the servers have no TLS here.
func TestDocumentedServers(t *testing.T) {
	users := []backendtest.User{{Name: "alice@example.org", Password: "secret"}}
	for _, name := range []string{"health@example.org", "health-db1@example.org", "health-db2@example.org"} {
		users = append(users, backendtest.User{Name: name, Password: "sesame"}) // as writeExample has it
	}
	for section, start := range map[string]func(t *testing.T) string{
		"Dovecot": func(t *testing.T) string {
			return testkit.Dovecot(t, backendtest.DovecotOptions{Users: users, TrustedNetworks: "127.0.0.0/8"}).Plain
		},
		"Cyrus":   func(t *testing.T) string { return testkit.Cyrus(t, users...).Address },
		"Courier": func(t *testing.T) string { return testkit.Courier(t, users...).Address },
	} {
		t.Run(section, func(t *testing.T) {
			_, page, _ := strings.Cut(readPage(t, "docs/install.md"), "\n## "+section+"\n")
			example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page)
			if example == nil {
				t.Fatal("the section has no example")
			}
			here := regexp.MustCompile(`(mbx[12]: )\{address: "[^"]*"(, tls: none|, ca: ca.crt, server_name: [a-z0-9.]+)`).
				ReplaceAllString(example[1], `$1{address: "`+start(t)+`", tls: none`)
			here = strings.NewReplacer("[::]:143", "127.0.0.1:0", "[::]:993", "localhost:0").Replace(here)
			file := writeExample(t, "data_dir: data\nadmin: {socket: admin.sock, address: \"\"}\n"+here)
			listeners, _ := serveUntilEnd(t, file)
			testkit.Eventually(t, "alice signs in", func() bool {
				return signInThrough("127.0.0.1", "alice@example.org", listeners[1].String()) == nil
			})
			status, out, errs := command("probe", "run", "IMAP.Protocol/ImapDeepTestProbe", "--admin",
				filepath.Join(filepath.Dir(file), "admin.sock"))
			if status != cli.StatusFine {
				t.Errorf("%d\n%s%s", status, out, errs)
			}
		})
	}
}
