package importer

import "testing"

// A server has the directives around it unless it has its own, and different values need a decision.
func TestNginxInheritance(t *testing.T) {
	const open = "mail {\n auth_http localhost;\n proxy_timeout 2h;\n"
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"inherited": {open + " server {\n listen 993 ssl;\n }\n}\n", []string{"authenticated_connection_timeout: 2h"}},
		"own": {open + " server {\n listen 993 ssl;\n proxy_timeout 40m;\n }\n}\n",
			[]string{"authenticated_connection_timeout: 40m", "proxy_timeout 2h: no counterpart: each server for"}},
		"both": {open + " server {\n listen 993 ssl;\n proxy_timeout 40m;\n }\n server {\n listen 994 ssl;\n }\n}\n",
			[]string{"proxy_timeout 2h: decide: "}},
		"stream": {"stream {\n proxy_timeout 2h;\n server {\n listen 143;\n proxy_pass 10.0.0.1:143;\n" +
			" proxy_timeout 40m;\n }\n server {\n listen 993;\n proxy_pass 10.0.0.1:993;\n }\n}\n",
			[]string{"proxy_timeout 2h: decide: "}},
		"backup of one": {"stream {\n upstream a {\n server 10.0.0.1:143;\n server 10.0.0.2:143 backup;\n }\n" +
			" upstream b {\n server 10.0.0.2:143;\n }\n server {\n listen 10143;\n proxy_pass b;\n }\n" +
			" server {\n listen 143;\n proxy_pass a;\n }\n}\n", []string{"decide: other servers than those of"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, "nginx", c.text, c.wants...) })
	}
}

// Passwords to the server of auth_http need TLS, and no secret of its URL is in the result.
func TestNginxAuthServer(t *testing.T) {
	mail := func(address string) string {
		return "mail {\n auth_http " + address + ";\n server {\n listen 993 ssl;\n }\n}\n"
	}
	has(t, "nginx", mail("http://10.0.0.1/auth"), `urls: ["http://10.0.0.1/auth"]`, "decide: passwords travel to this")
	has(t, "nginx", mail("127.0.0.1:9000/auth"), `urls: ["http://127.0.0.1:9000/auth"]`, "!passwords travel")
	has(t, "nginx", mail("https://10.0.0.1/auth"), "!passwords travel")
	has(t, "nginx", mail("https://10.0.0.1/auth?apikey="+secretMark), `urls: ["https://10.0.0.1/auth"]`,
		"!"+secretMark, "decide: without the query of the URL")
	has(t, "nginx", mail("https://"+secretMark+":x@10.0.0.1/auth#"+secretMark), "!"+secretMark,
		"decide: without the name and password", "decide: without the query")
}
