package importer

import (
	"fmt"
	"testing"
)

// Portico takes passwords without TLS only if the source does at each listener that has no TLS from the first byte.
func TestCleartext(t *testing.T) {
	server := func(words string) string { return " server {\n " + words + "\n }\n" }
	const mail = "mail {\n auth_http localhost;\n"
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"one listener": {mail + server("listen 143;") + "}\n",
			[]string{"login_type: plain_text_login", "decide: nginx accepts"}},
		"a strict one": {mail + server("listen 143;") + server("listen 1143; starttls only;") + "}\n",
			[]string{"!login_type: plain", "at 0.0.0.0:143, but not at 0.0.0.0:1143."}},
		"both": {mail + server("listen 143;") + server("listen 1143; starttls on;") + server("listen 993 ssl;") + "}\n",
			[]string{"login_type: plain_text_login", "before STARTTLS, at 0.0.0.0:1143 too. With this key"}},
		"before STARTTLS": {mail + server("listen 143; starttls on;") + "}\n",
			[]string{"!login_type: plain", "before STARTTLS, and Portico does not"}},
		"stream": {mail + server("listen 10.0.0.1:143;") + "}\n" +
			"stream {\n server {\n listen 10.0.0.3:143;\n proxy_pass 10.0.0.2:143;\n }\n}\n",
			[]string{"!login_type: plain", "decide: nginx accepts passwords without TLS at 10.0.0.1:143, but not at"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "nginx", c.text, c.wants...) })
	}
	const proxy = "passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=yes\n}\n"
	has(t, "dovecot-proxy", "ssl = no\ndisable_plaintext_auth = no\n"+proxy, "login_type: plain_text_login")
	has(t, "dovecot-proxy", "disable_plaintext_auth = no\nservice imap-login {\n inet_listener imap {\n port = 0\n"+
		" }\n}\n"+proxy, "!login_type: plain", "disable_plaintext_auth no: taken: all listeners")
}

// A wildcard has the connections for its addresses: what is alike becomes one listener, what is not needs a decision.
func TestOverlappingListeners(t *testing.T) {
	const server = " server {\n listen %s;\n }\n"
	for _, c := range []struct {
		listen []string
		wants  []string
	}{
		{[]string{"143", "[::]:143"}, []string{`{address: "[::]:143", tls: none}`, "!0.0.0.0"}},
		{[]string{"10.0.0.1:143", "143"}, []string{`{address: "0.0.0.0:143", tls: none}`, "!- {address: \"10."}},
		{[]string{"143", "10.0.0.1:143"}, []string{`{address: "0.0.0.0:143", tls: none}`, "!- {address: \"10."}},
		{[]string{"10.0.0.1:143 ssl", "143"}, []string{"listen 143: decide: this listener has connections for"}},
		{[]string{"10.0.0.1:143", "10.0.0.2:143", "143"}, []string{"listen 143: decide: this listener has"}},
		{[]string{"0.0.0.0:143", "[::1]:143 ssl"}, []string{`"0.0.0.0:143"`, `"[::1]:143"`}},
	} {
		text := "mail {\n auth_http localhost;\n"
		for _, at := range c.listen {
			text += fmt.Sprintf(server, at)
		}
		has(t, "nginx", text+"}\n", c.wants...)
	}
}

// Who may send the PROXY protocol, and who may name a client by ID, are one list in Portico: that needs a decision.
func TestTrustedNetworks(t *testing.T) {
	const (
		proxy    = "passdb {\n driver = static\n args = proxy=y host=10.0.0.1 ssl=yes\n}\n"
		some     = "service imap-login {\n inet_listener imaps {\n haproxy = yes\n }\n}\n"
		one      = "service imap-login {\n inet_listener imap {\n port = 0\n }\n}\n" + some
		byID     = "login_trusted_networks = 10.1.0.0/16\n"
		byHeader = "haproxy_trusted_networks = 10.2.0.0/16\n"
	)
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"ID": {byID, []string{`trusted_networks: ["10.1.0.0/16"]`, "Dovecot also takes their passwords without TLS"}},
		"header without listener": {byHeader, []string{"!trusted_networks:",
			"no counterpart: no listener for IMAP expects the PROXY protocol"}},
		"header":           {one + byHeader, []string{`trusted_networks: ["10.2.0.0/16"]`, "!decide: these networks"}},
		"another listener": {some + byHeader, []string{"decide: these networks may send the PROXY protocol"}},
		"both": {some + byID + byHeader,
			[]string{`["10.1.0.0/16", "10.2.0.0/16"]`, "decide: these networks may"}},
		"listener alone":  {some, []string{`trusted_networks: ["127.0.0.0/8"]`, "decide: name the networks"}},
		"ID and listener": {some + byID, []string{"decide: a listener expects the PROXY protocol, and nothing says"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "dovecot-proxy", c.text+proxy, c.wants...) })
	}
	const nginx = "mail {\n auth_http localhost;\n set_real_ip_from 10.2.0.0/16;\n server {\n listen 993 ssl"
	has(t, "nginx", nginx+";\n }\n}\n", "!trusted_networks:", "no listener for IMAP expects the PROXY protocol")
	has(t, "nginx", nginx+" proxy_protocol;\n }\n}\n", `trusted_networks: ["10.2.0.0/16"]`)
}
