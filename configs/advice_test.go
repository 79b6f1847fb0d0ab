package configs

import (
	"strings"
	"testing"
)

func TestAdvice(t *testing.T) {
	const servers = "mailbox_servers: {mbx1: {address: \"127.0.0.1:1\"}, mbx2: {address: \"127.0.0.1:2\"}}\n"
	const mailbox = "{user: h, password_file: p}"
	three := strings.Replace(servers, "{mbx1", "{mbx0: {address: \"127.0.0.1:3\"}, mbx1", 1)
	const databases = "databases: {db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx1]}}\nhealth:\n  mailboxes: {db1: " +
		mailbox + ", db2: " + mailbox + "}\n"
	for _, cell := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"no mailboxes", "databases: {db1: {}, db2: {}}\n",
			[]string{"p.yaml:1:12: warning: databases: no probe opens a mailbox of db1, db2: "}},
		{"one mailbox", "databases: {db1: {}, db2: {}}\nhealth: {mailboxes: {db1: " + mailbox + "}}\n",
			[]string{"p.yaml:2:21: warning: health.mailboxes: no probe opens a mailbox of db2: "}},
		{"all mailboxes", "databases: {db1: {}}\nhealth: {mailboxes: {db1: " + mailbox + "}}\n", nil},
		{"slow", "health: {self_test: {interval: 10s, timeout: 20s}, ctp: {interval: 1m, timeout: 1m}, deep_test: " +
			"{interval: 30s}}\n", []string{
			"health.self_test.timeout: is longer than the interval, 10s",
			"health.deep_test.timeout: is longer than the interval, 30s",
		}},
		{"two servers", servers, []string{"mailbox_servers: if two of the 2 servers fail"}},
		{"two servers apart", servers + "health: {recovery: {common_cause_percent: 100}}\n", nil},
		{"two servers, half", servers + "health: {recovery: {common_cause_percent: 50}}\n",
			[]string{"health.recovery.common_cause_percent: if two of the 2 servers fail"}},
		{"two servers, nothing is done", servers + "health: {recovery: {mode: \"off\"}}\n", nil},
		{"a node as a mailbox server", servers + "health: {recovery: {mode: \"off\"}}\n" +
			"nodes: {other: {address: a}, MBX2: {address: b}, mbx1: {address: c}}\n", []string{
			"p.yaml:3:36: warning: nodes.MBX2: mailbox server mbx2 has the same name: --server mbx2 means " +
				"the mailbox " +
				"server, and only --node MBX2 means the node",
			"nodes.mbx1: mailbox server mbx1 has the same name",
		}},
		{"three servers without databases", three, nil},
		{"three servers", three + databases, []string{
			"mailbox_servers: if two of the 3 servers fail, Portico assumes a common cause and restarts neither: " +
				"users of databases that have no copy elsewhere, " +
				"for example db1, db2, stay out; with " +
				"health.recovery.common_cause_percent 67, both are restarted",
		}},
		{"three servers apart", three + databases + "  recovery: {common_cause_percent: 67}\n", nil},
		{"three servers, nearly apart", three + databases + "  recovery: {common_cause_percent: 66}\n",
			[]string{"if two of the 3 servers fail"}},
		{"three copies each", three + strings.NewReplacer("[mbx1, mbx2]", "[mbx0, mbx1, mbx2]", "[mbx1]",
			"[mbx0, mbx1, mbx2]").Replace(databases), nil},
	} {
		c, err := Parse("p.yaml", []byte(cell.text))
		if err != nil {
			t.Fatal(err)
		}
		got := c.Advice()
		if len(got) != len(cell.want) {
			t.Errorf("%s: %v", cell.name, got)
			continue
		}
		for i, want := range cell.want {
			if !strings.Contains(got[i].Error(), want) {
				t.Errorf("%s: %s", cell.name, got[i].Error())
			}
		}
	}
}
