package configs

import (
	"slices"
	"strings"
	"testing"
)

// What nodes need the same is told by part. Where a file is, and what fences, is each node's business.
func TestSharedParts(t *testing.T) {
	const text = `
listeners: [{address: ":143", tls: none}]
mailbox_servers: {mbx1: {address: "mbx1:143", ca: ca.pem}, mbx2: {address: "mbx2:143"}}
databases: {db1: {copies: [mbx1, mbx2]}}
directory: {sources: [{file: users}]}
cluster: {fence: {command: [/etc/fence]}}
`
	parsed := func(text string) map[string]string {
		t.Helper()
		c, err := Parse("/etc/portico.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c.SharedParts()
	}
	was := parsed(text)
	for _, test := range []struct{ from, to, differs string }{
		{"ca.pem", "/elsewhere/ca.pem", ""},
		{", ca: ca.pem", "", "mailbox_servers"},
		{"mbx1:143", "mbx1:144", "mailbox_servers"},
		{"[mbx1, mbx2]", "[mbx2, mbx1]", "databases"},
		{"file: users", "file: others", ""},
		{"/etc/fence", "/opt/fence, hard", ""},
		{"cluster: {fence: {command: [/etc/fence]}}", "", "cluster.fence"},
		{`":143", tls`, `":1143", tls`, ""},
	} {
		changed := strings.Replace(text, test.from, test.to, 1)
		if changed == text {
			t.Fatalf("%q is not there", test.from)
		}
		var differs []string
		for part, now := range parsed(changed) {
			if was[part] != now {
				differs = append(differs, part)
			}
		}
		slices.Sort(differs)
		if got := strings.Join(differs, ", "); got != test.differs {
			t.Errorf("%q in place of %q: %q differ, want %q", test.to, test.from, got, test.differs)
		}
	}
}
