package node

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs"
)

// Another node is asked through this one, with its own token, and a global override reaches both; nobody gets in by
// that who may not.
func TestNodes(t *testing.T) {
	testkit.NoLeaks(t)
	const token = "of-the-other-node"
	other, here := newSite(t), newSite(t)
	other.serveMail(t)
	other.put(t, "token", token+"\n")
	there := other.serve(t, other.writeWithout(t, "admin",
		`admin: {socket: admin.sock, address: "[::1]:0", token_file: token}`+"\n"))
	here.serveMail(t)
	here.put(t, "mx2.token", token+"\n")
	r := here.serve(t,
		here.write(t,
			fmt.Sprintf("nodes: {mx2: {address: \"http://%s\", token_file: mx2.token}, mx3: {address: "+
				"\"http://127.0.0.1:1\", token_file: mx2.token}}\n", there.api.address)))

	r.asks(t, cli.StatusFine, "component", "set", "ImapProxy", "--state", "Inactive", "--requester", "Maintenance",
		"--server", "mx2")
	there.asks(t, cli.StatusBad, "component", "get", "ImapProxy")
	r.asks(t, cli.StatusFine, "component", "get", "ImapProxy")
	r.asks(t, cli.StatusFine, "probe", "run", "IMAP.Protocol/ImapSelfTestProbe", "--server", "mx2")
	for _, flag := range []string{"--server", "--node"} { // of a name that nobody has
		if got := r.asks(t, cli.StatusFailed, "health", "get", flag, "mx9"); !strings.Contains(got, `"mx9"; known: `) {
			t.Errorf("%s: %s", flag, got)
		}
	}
	// A mailbox server is no other Portico.
	if got := r.asks(t, cli.StatusFailed, "component", "get", "--server", "mbx1"); !strings.Contains(got,
		"mbx1 is a mailbox server") {
		t.Error(got)
	}
	// A mailbox server's name is that; where only nodes are meant, what to write instead is said.
	if got := r.asks(t, cli.StatusFine, "health", "get", "--server", "mbx1"); !strings.Contains(got,
		"ImapSelfTestMonitor") || strings.Contains(got, "ImapProxyTestMonitor") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFailed, "component", "get", "--node", "mbx1"); !strings.Contains(got,
		"mbx1 is a mailbox server") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "component", "get", "ImapProxy", "--node", nodeName()) // the node that is asked itself
	if got := r.asks(t, cli.StatusFailed, "session", "list", "--server", "mx2"); !strings.Contains(got,
		`there is no mailbox server "mx2"`) {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "session", "list", "--node", "mx2", "-o", "json"); got != "[]\n" {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFailed, "health", "report", "--server", "mbx1"); !strings.Contains(got,
		"mbx1 is a mailbox server") {
		t.Error(got)
	}
	// This node is well, mx2 is out of service, and mx3 cannot be asked: one of three is online.
	for percent, value := range map[string]string{"30": "Degraded", "70": "Unhealthy"} {
		got := r.asks(t, cli.StatusBad, "health", "report", "--rollup-group", "--minimum-online-percent", percent)
		if line := lineOf(got, "IMAP.Proxy"); !strings.Contains(line, value) ||
			!strings.Contains(line, "Partially Online") || !strings.Contains(line, "33") ||
			!strings.Contains(got, "node mx3") {
			t.Error(got)
		}
	}
	if got := r.asks(t, cli.StatusBad, "health", "report", "--rollup-group", "--group-size", "1"); strings.Count(got,
		"IMAP.Protocol") != 2 {
		t.Error(got)
	}
	r.asks(t, cli.StatusFailed, "health", "report", "--rollup-group", "--group-size", "0")
	if got := r.asks(t, cli.StatusFailed, "health", "get", "--server", "mx3"); !strings.Contains(got, "node mx3") {
		t.Error(got)
	}
	const probe = "IMAP.Protocol/ImapSelfTestProbe"
	if got := r.asks(t, cli.StatusBad, "override", "add", probe, "--property", "TimeoutSeconds", "--value", "7",
		"--global"); !strings.Contains(got, "failed on node mx3") || strings.Contains(got, "failed on node mx2") ||
		!strings.Contains(got, " on mx2") {
		t.Error(got)
	}
	r.asks(t, cli.StatusFine, "override", "add", probe, "--property", "TimeoutSeconds", "--value", "9")
	timeout := func(of *running) string {
		for _, p := range of.monitoring.engine.Probes() {
			if p.Name == "ImapSelfTestProbe" {
				return p.Timeout.String()
			}
		}
		return ""
	}
	if here, elsewhere := timeout(r), timeout(there); here != "9s" || elsewhere != "7s" {
		t.Errorf("time-outs %s and %s", here, elsewhere)
	}
	if got := r.asks(t, cli.StatusFine, "override", "list", "-o", "wide"); !strings.Contains(got, "global") ||
		!strings.Contains(got, "local") {
		t.Error(got)
	}
	r.asks(t, cli.StatusBad, "override", "remove", probe, "--property", "TimeoutSeconds", "--global")
	if got := timeout(there); got != "20s" {
		t.Errorf("time-out %s", got)
	}
	// Whoever may only read here does not even read there.
	response, err := http.Get("http://" + r.api.address.String() + "/nodes/mx2/api/v1/health")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", response.Status)
	}
	if text := r.log.String() + there.log.String(); strings.Contains(text, token) {
		t.Error("the token is in the log of " + filepath.Base(here.dir))
	}
}

// lineOf returns the first line of an output that has words in it.
func lineOf(output, words string) string {
	for line := range strings.Lines(output) {
		if strings.Contains(line, words) {
			return line
		}
	}
	return ""
}

// A change at another node has the operator's name in that node's log and in what the change leaves, not only the
// token that both nodes share.
func TestNodesSayWhoAsks(t *testing.T) {
	testkit.NoLeaks(t)
	const token = "of-the-other-node"
	other, here := newSite(t), newSite(t)
	other.serveMail(t)
	other.put(t, "mx1.token", token+"\n")
	there := other.serve(t, other.writeWithout(t, "admin",
		`admin: {socket: admin.sock, address: "[::1]:0", token_file: mx1.token}`+"\n"))
	here.serveMail(t)
	here.put(t, "mx2.token", token+"\n")
	r := here.serve(t,
		here.write(t, fmt.Sprintf("nodes: {mx2: {address: \"http://%s\", token_file: mx2.token}}\n",
			there.api.address)))

	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	who := "token mx1.token for user " + me.Username + " of node " + nodeName()
	r.asks(t, cli.StatusFine, "component", "set", "ImapProxy", "--state", "Inactive", "--requester", "Maintenance",
		"--node", "mx2")
	there.logged(t, `"who":"`+who+`"`)
	if got := there.asks(t, cli.StatusBad, "component", "get", "ImapProxy", "-o", "json"); !strings.Contains(got,
		`"who": "`+who+`"`) && !strings.Contains(got, `"who":"`+who+`"`) {
		t.Error(got)
	}
	r.logged(t, `"who":"user `+me.Username+`"`)
	// Nobody else can say that.
	request, err := http.NewRequest(http.MethodPost,
		"http://"+there.api.address.String()+"/api/v1/servers/mbx1/block", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Portico-On-Behalf-Of", "mallory")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusUnauthorized || strings.Contains(there.log.String(), "mallory") {
		t.Errorf("%s\n%s", response.Status, there.log)
	}
}

// A client certificate takes the place of a token between nodes, and the other node learns who asks.
func TestNodesByCertificate(t *testing.T) {
	testkit.NoLeaks(t)
	other, here := newSite(t), newSite(t)
	other.serveMail(t)
	ca, err := other.ca.WriteFile(other.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mx1", "mx7"} {
		cert, err := other.ca.Issue(backendtest.CertOptions{Hosts: []string{name}, Client: true})
		if err == nil {
			_, _, err = cert.WriteFiles(other.dir, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	other.certificate(t, "admin", "::1")
	there := other.serve(t, other.writeWithout(t, "admin", `admin: {socket: admin.sock, address: "[::1]:0", `+
		`tls: {cert: admin.crt, key: admin.key}, client_ca: ca.crt, client_rights: {mx1: change}}`+"\n"))
	here.serveMail(t)
	r := here.serve(t, here.write(t, fmt.Sprintf("nodes: {mx2: {address: \"https://%s\", ca: %q, "+
		"tls: {cert: %q, key: %q}}}\n", there.api.address, ca, filepath.Join(other.dir, "mx1.crt"),
		filepath.Join(other.dir, "mx1.key"))))
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	r.asks(t, cli.StatusFine, "server", "block", "mbx1", "--node", "mx2")
	there.logged(t, `"who":"certificate mx1 for user `+me.Username+" of node "+nodeName()+`"`)
	if got := r.asks(t, cli.StatusFine, "session", "list"); strings.Contains(got, "portico: node") {
		t.Error(got)
	}
	here.replace(t, "mx1.crt", "mx7.crt") // of somebody without rights
	here.replace(t, "mx1.key", "mx7.key")
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	if got := r.asks(t, cli.StatusFailed, "server", "unblock", "mbx1", "--node", "mx2"); !strings.Contains(got,
		"certificate mx7 may not do that here") {
		t.Error(got)
	}
}

// What another node sends is passed on only as far as it is an answer of the API: nothing of it acts in the browser of
// whoever asks, and its 401 is not theirs.
func TestAnswersOfForeignNodes(t *testing.T) {
	testkit.NoLeaks(t)
	respond := map[string]http.HandlerFunc{
		"/fine": func(w http.ResponseWriter, _ *http.Request) {
			for _, field := range []string{"Set-Cookie", "Refresh", "Clear-Site-Data", "Www-Authenticate", "Location",
				"Access-Control-Allow-Origin", "Strict-Transport-Security", "Server", "Link"} {
				w.Header().Set(field, "x")
			}
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "[]")
		},
		"/moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusTemporaryRedirect)
		},
		"/who":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"/proxy": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) },
		"/long": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxNodeHeader))
		},
	}
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		respond[r.URL.Path](w, r)
	}))
	defer foreign.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("of-the-foreign-node\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ways, err := newNodes(&configs.Config{Nodes: map[string]configs.Node{
		"mx2": {Address: foreign.URL, TokenFile: token}}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/fine": "200 []", "/moved": "502 it answers 307", "/proxy": "502 it answers 407",
		"/who":  "502 it does not accept the token or the certificate that the configuration has for it",
		"/long": "502 server response headers exceeded",
	} {
		answer := httptest.NewRecorder()
		ways["mx2"].ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		status, words, _ := strings.Cut(want, " ")
		if strconv.Itoa(answer.Code) != status || !strings.Contains(answer.Body.String(), words) {
			t.Errorf("%s: %d %s, want %s", path, answer.Code, answer.Body, want)
		}
		for field := range answer.Header() {
			if !slices.Contains([]string{"Content-Length", "Content-Type", "Etag"}, field) {
				t.Errorf("%s: %s is passed on", path, field)
			}
		}
	}
}
