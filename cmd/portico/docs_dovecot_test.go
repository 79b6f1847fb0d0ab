package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// dovecotBlock is a part of Dovecot's configuration in a document: for both versions, or for one.
var dovecotBlock = regexp.MustCompile("(?s)```dovecot(-2\\.[34])?\n(.*?)```")

// A real Dovecot starts with what the documents say of its version's configuration, and lets the master user in.
func TestDocumentedDovecotConfiguration(t *testing.T) {
	release, err := backendtest.LookupDovecot()
	if err != nil {
		testkit.Lack(t, err)
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var config strings.Builder
	blocks := make(map[string]int)
	for _, document := range append(documents, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range dovecotBlock.FindAllStringSubmatch(string(text), -1) {
			version := strings.TrimPrefix(block[1], "-")
			blocks[version]++
			if version == "" || version == release {
				config.WriteString(block[2])
			}
		}
	}
	if blocks[""] == 0 || blocks["2.3"] == 0 || blocks["2.3"] != blocks["2.4"] {
		t.Errorf("blocks for both, 2.3 and 2.4: %d, %d, %d", blocks[""], blocks["2.3"], blocks["2.4"])
	}

	extra := inFolder(t, config.String())
	d := testkit.Dovecot(t, backendtest.DovecotOptions{Users: []backendtest.User{{Name: "alice", Password: "secret"}},
		RequireTLS: true, Extra: extra})
	c := testkit.Dial(t, d.Plain, nil)
	c.Expect("* OK *")
	c.Send("a AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte("alice\x00portico\x00sesame")))
	c.Expect("a OK *")
}

// inFolder returns the configuration with a folder of the test's in the place of /etc/dovecot, and a free port in that
// of 10143. The folder holds the files that the documents name.
func inFolder(t *testing.T, config string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "portico-docs-") // straight below: Dovecot's other users get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ca, err := backendtest.NewCA("documents")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cert.WriteFiles(dir, "mbx1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "masters"), []byte("portico:{PLAIN}sesame\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("/etc/dovecot", dir, "port = 10143", "port = "+testkit.FreePort(t)).Replace(config)
}
