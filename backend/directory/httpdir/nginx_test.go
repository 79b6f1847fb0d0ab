package httpdir

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/backend/secret"
)

// What nginx asks of a server, we ask too, to the byte, whatever the user and password are.
func TestAsNginx(t *testing.T) {
	testkit.Need(t, "nginx")
	modules, _ := filepath.Glob("/etc/nginx/modules-enabled/*mail.conf")
	if len(modules) == 0 {
		testkit.Lack(t, fmt.Errorf("nginx without its mail module"))
	}
	asked := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header
		w.Header().Set("Auth-Status", "Invalid login or password")
	}))
	defer server.Close()
	front := startNginx(t, server.URL)
	d, err := New(Options{InFlight: 1, URLs: []string{server.URL + "/auth"}, SendPassword: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, c := range []struct{ user, password string }{
		{"ann", "secret"}, {"ann@example.org", "100%"}, {"a b", " x y "}, {"x\r\nAuth-Status: OK", "p\r\n\r\nGET /"},
		{"m\u00fcller", "pass\u00e9\u20ac"}, {"%41", "%2525"}, {`q"\\`, `"'\\;:,=&+?#`}, {"t", "\t\x01\x1f~\xff\x80"},
	} {
		conn := testkit.Dial(t, front, nil)
		conn.Expect("* OK *")
		conn.Send(fmt.Sprintf("a LOGIN {%d}", len(c.user)))
		conn.Expect("+ *")
		conn.SendRaw(c.user)
		conn.Send(fmt.Sprintf(" {%d}", len(c.password)))
		conn.Expect("+ *")
		conn.Send(c.password)
		conn.ReadUntilTagged("a")
		conn.Close()
		theirs := relevant(<-asked)
		_, err := d.Lookup(t.Context(), directory.Query{
			User: c.user, Password: secret.Value(c.password),
			Client: netip.MustParseAddrPort("127.0.0.1:1"), Attempt: 1,
		})
		ours := relevant(<-asked)
		if !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%q: we ask\n%q\nnginx asks\n%q", c.user, ours, theirs)
		}
		if got := verdict(directory.Entry{}, err); got != "refused: Invalid login or password" {
			t.Errorf("%q: %s", c.user, got)
		}
	}
}

// relevant leaves out what HTTP itself needs.
func relevant(h http.Header) http.Header {
	for name := range h {
		if !strings.HasPrefix(name, "Auth-") && !strings.HasPrefix(name, "Client-") {
			h.Del(name)
		}
	}
	return h
}

// startNginx starts nginx as an IMAP proxy that asks the server at url, and returns its address.
func startNginx(t *testing.T, url string) string {
	t.Helper()
	ln := testkit.Listen(t)
	address := ln.Addr().String()
	ln.Close()
	config := filepath.Join(t.TempDir(), "nginx.conf")
	err := os.WriteFile(config, fmt.Appendf(nil, `
include /etc/nginx/modules-enabled/*mail.conf;
worker_processes 1; daemon off; master_process off; pid %[1]s.pid; error_log stderr crit;
events { worker_connections 64; }
mail { server_name test; auth_http %[2]s/auth; server { listen %[3]s; protocol imap; proxy on; } }
`, config, url, address), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-c", config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	testkit.Eventually(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return address
}
