package node

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// What docs/operations.md says of doveadm behind Portico: whose address "who" shows, and what "kick" does.
func TestDoveadm(t *testing.T) {
	testkit.Need(t, "doveadm")
	server := testkit.Dovecot(t, backendtest.DovecotOptions{Proxied: true, TrustedNetworks: "127.0.0.0/8",
		Users: []backendtest.User{{Name: "alice", Password: "secret"}}})
	testkit.NoLeaks(t)
	doveadm := func(args ...string) string {
		t.Helper()
		args = append([]string{"-c", filepath.Join(server.Dir, "dovecot.conf")}, args...)
		out, err := exec.CommandContext(testkit.Context(t), "doveadm", args...).CombinedOutput()
		if err != nil {
			t.Errorf("doveadm %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for name, c := range map[string]struct{ server, shown string }{
		"alone":          {fmt.Sprintf("address: %q", server.Plain), "127.0.0.1"},
		"trusted_id":     {fmt.Sprintf("address: %q, trusted_id: true", server.Plain), "203.0.113.9"},
		"proxy_protocol": {fmt.Sprintf("address: %q, proxy_protocol: v2", server.ProxiedPlain), "203.0.113.9"},
	} {
		site := newSite(t)
		file := site.writeWithout(t, "mailbox_servers", "trusted_networks: [127.0.0.0/8]\n"+
			"settings: {login_type: plain_text_login}\nmailbox_servers: {mbx1: {tls: none, "+c.server+"}}\n")
		site.replace(t, `{address: "127.0.0.1:0", tls: starttls}`,
			`{address: "127.0.0.1:0", tls: none, proxy_protocol: true}`)
		r := site.serve(t, file)
		client := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil)
		client.SendRaw("PROXY TCP4 203.0.113.9 203.0.113.10 5000 143\r\n")
		client.Expect("* OK *")
		client.Command("a", "LOGIN alice secret")
		if who := doveadm("who"); !strings.Contains(who, "("+c.shown+")") {
			t.Errorf("%s: doveadm who shows\n%s", name, who)
		}
		doveadm("kick", "alice")
		client.Expect("* BYE *")
	}
}
