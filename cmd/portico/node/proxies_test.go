package node

import (
	"fmt"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// Behind a load balancer and two Porticos, the mailbox server knows the client.
func TestPorticoBehindPortico(t *testing.T) {
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: []backendtest.User{{Name: "alice", Password: "secret"}}, TrustedNetworks: "127.0.0.0/8",
	})
	testkit.NoLeaks(t)
	const believing = "trusted_networks: [127.0.0.0/8]\nsettings: {login_type: plain_text_login}\n"
	trusting := func(address string) string {
		return fmt.Sprintf("mailbox_servers: {mbx1: {address: %q, tls: none, trusted_id: true}}\n", address)
	}
	inner := newSite(t)
	in := inner.serve(t, inner.writeWithout(t, "mailbox_servers", believing+trusting(server.Plain)))
	outer := newSite(t)
	file := outer.writeWithout(t, "mailbox_servers", believing+trusting(in.clients.listeners.addresses()[0].String()))
	outer.replace(t, `{address: "127.0.0.1:0", tls: starttls}`,
		`{address: "127.0.0.1:0", tls: none, proxy_protocol: true}`)
	out := outer.serve(t, file)

	c := testkit.Dial(t, out.clients.listeners.addresses()[0].String(), nil)
	c.SendRaw("PROXY TCP4 203.0.113.9 203.0.113.10 5000 143\r\n")
	c.Expect("* OK *")
	c.Command("a", "LOGIN alice secret")
	c.Command("b", "LOGOUT")
	for name, log := range map[string]func() string{"outer": out.log.String, "inner": in.log.String} {
		testkit.Eventually(t, name+"'s line", func() bool {
			return strings.Contains(log(), `"remote":"203.0.113.9:5000","user":"alice"`)
		})
	}
	testkit.Eventually(t, "the mailbox server knows the client", func() bool {
		return strings.Contains(server.ReadLog(), "rip=203.0.113.9, lip=203.0.113.10")
	})
}

// A node whose listeners all expect the PROXY protocol proves itself, whether its own address is a trusted one or not.
func TestProbesBehindProxies(t *testing.T) {
	for _, trusted := range []string{"127.0.0.0/8", "192.0.2.0/24"} {
		site := newSite(t)
		site.serveMail(t)
		site.put(t, "health.password", "secret\n")
		file := site.write(t, "trusted_networks: ["+trusted+"]\n"+
			"health: {mailboxes: {db1: {user: alice, password_file: health.password}}}\n")
		site.replace(t, "tls: starttls}", "tls: starttls, proxy_protocol: true}")
		site.replace(t, "tls: implicit}", "tls: implicit, proxy_protocol: true}")
		r := site.serve(t, file)
		for _, probe := range []string{"IMAP.Proxy/ImapProxyTestProbe", "IMAP/ImapCTPProbe"} {
			r.asks(t, cli.StatusFine, "probe", "run", probe)
		}
	}
}

// A Portico whose mailbox server is itself says so, and goes on.
func TestLoop(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.server = "127.0.0.1:" + testkit.FreePort(t)
	file := site.writeWithout(t, "mailbox_servers", fmt.Sprintf(
		"settings: {login_type: plain_text_login}\npenalties: {first: 0s}\nmailbox_servers: {mbx1: {address: %q, "+
			"tls: none, trusted_id: true}}\n", site.server))
	site.replace(t, `{address: "127.0.0.1:0", tls: starttls}`, fmt.Sprintf(`{address: %q, tls: none}`, site.server))
	r := site.serve(t, file)
	if got := r.tries(t, "alice"); !strings.HasPrefix(got, "a NO [UNAVAILABLE] ") {
		t.Error(got)
	}
	r.logged(t, `"result":"proxy_loop"`)
	if n := strings.Count(r.log.String(), `"user":"alice"`); n > 6 {
		t.Errorf("%d sign-ins of one", n)
	}
	testkit.Dial(t, site.server, nil).Expect("* OK *")
}
