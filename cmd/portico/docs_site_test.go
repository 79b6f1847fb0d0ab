package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
