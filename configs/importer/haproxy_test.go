package importer

import (
	"strings"
	"testing"
)

// has reports the texts that the result of an import lacks, and those that it must not have, which begin with "!".
func has(t *testing.T, kind, text string, wants ...string) {
	t.Helper()
	result := importText(t, kind, text)
	plain := strings.Join(strings.Fields(strings.ReplaceAll(result, "#", " ")), " ") // comments are wrapped
	for _, want := range wants {
		want, not := strings.CutPrefix(want, "!")
		if strings.Contains(plain, strings.ReplaceAll(want, "#", "")) == not {
			t.Errorf("%s: in the result, %q is %v:\n%s", kind, want, not, result)
		}
	}
}

// A proxy has the defaults that it names, and otherwise those of the last section above.
func TestHAProxyDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"named": {"defaults slow\n timeout client 2h\ndefaults fast\n timeout client 20m\n" +
			"listen imap from slow\n bind :143\n server a 10.0.0.1:143\n",
			[]string{"authenticated_connection_timeout: 2h", "defaults fast: no counterpart: no listener"}},
		"of defaults": {"defaults base\n timeout client 2h\n default-server send-proxy\ndefaults b from base\n" +
			" timeout connect 7s\nlisten imap\n bind :143\n server a 10.0.0.1:143\n",
			[]string{"authenticated_connection_timeout: 2h", "connect: 7s", "proxy_protocol: v1"}},
		"overridden": {"defaults\n timeout client 2h\n odd 1\nlisten imap\n bind :143\n timeout client 40m\n" +
			" server a 10.0.0.1:143\n",
			[]string{"authenticated_connection_timeout: 40m", "timeout client 2h: no counterpart: each section for",
				"odd 1: no counterpart"}},
		"different": {"defaults\n timeout client 2h\nlisten imap\n bind :143\n timeout client 40m\n" +
			" server a 10.0.0.1:143\nlisten imaps\n bind :993\n server a 10.0.0.1:993\n",
			[]string{"timeout client 2h: decide: "}},
		"missing": {"listen imap from nowhere\n bind :143\n server a 10.0.0.1:143\n",
			[]string{"decide: there is no section defaults nowhere above"}},
		"sides": {"defaults\n timeout client 2h\nfrontend imap\n bind :143\n timeout client 40m\n default_backend b\n" +
			"backend b\n server a 10.0.0.1:143\n", []string{"authenticated_connection_timeout: 40m", "!2h: decide"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "haproxy", c.text, c.wants...) })
	}
}

// A server undoes by "no-" and enabled what default-server gives it.
func TestHAProxyServerWords(t *testing.T) {
	const front = "listen imap\n bind :143\n"
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"no-send-proxy": {" default-server send-proxy\n server a 10.0.0.1:143 no-send-proxy\n",
			[]string{"!proxy_protocol"}},
		"no-send-proxy-v2": {" default-server send-proxy-v2\n server a 10.0.0.1:143 no-send-proxy-v2\n",
			[]string{"!proxy_protocol"}},
		"another no": {" default-server send-proxy-v2\n server a 10.0.0.1:143 no-send-proxy\n",
			[]string{"proxy_protocol: v2"}},
		"enabled": {" default-server disabled\n server a 10.0.0.1:143 enabled\n",
			[]string{"address: \"10.0.0.1:143\""}},
		"disabled": {" default-server disabled\n server a 10.0.0.1:143\n",
			[]string{"!10.0.0.1:143\"", "server is disabled"}},
		"no-backup": {" default-server backup\n server a 10.0.0.1:143 no-backup\n server b 10.0.0.2:143\n",
			[]string{"db1: {copies: [a, b]", "!db2"}},
		"no-ssl": {" default-server ssl verify none\n server a 10.0.0.1:143 no-ssl\n",
			[]string{"tls: starttls", "!insecure"}},
		"no-verifyhost": {" default-server ssl ca-file /c verifyhost x.org\n server a 10.0.0.1:993 no-verifyhost\n",
			[]string{"!server_name"}},
		"weight 0":         {" server a 10.0.0.1:143 weight 0\n", []string{"decide: weight 0"}},
		"port of listener": {" server a 10.0.0.1\n", []string{"address: \"10.0.0.1:143\""}},
		"no port":          {" bind :993\n server a 10.0.0.1\n", []string{"server a 10.0.0.1: decide: no address"}},
		"two ways": {" server a 10.0.0.1:143 send-proxy\n server b 10.0.0.1:143\n",
			[]string{"decide: source:3 says otherwise of the PROXY"}},
		"TLS and none": {" bind :993 ssl crt /c.pem\n server a 10.0.0.1:1143 ssl ca-file /ca\n" +
			" server b 10.0.0.1:1143\n",
			[]string{"tls: implicit", "10.0.0.1:1143: decide: HAProxy sends", "it is the one with TLS", "!tls: none"}},
		"any and valid": {" server a 10.0.0.1:993 ssl verify none\n" +
			" server b 10.0.0.1:993 ssl verify required ca-file /ca\n",
			[]string{"!insecure_skip_verify: true", "decide: any certificate is accepted here, and"}},
		"variable": {" bind :993 ssl crt ${CERT}\n server a 10.0.0.1:993 ssl ca-file ${CA} verifyhost ${NAME}\n",
			[]string{"!cert: \"/etc", "!ca: ", "!server_name: ", "decide: the name of the file has a variable"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "haproxy", front+c.text, c.wants...) })
	}
}
