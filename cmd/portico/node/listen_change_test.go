package node

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// A reload adds listeners, removes them, and gives an address another TLS mode. Sessions of all of them continue. If
// one cannot be opened, nothing changes.
func TestReloadChangesListeners(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	ports, err := backendtest.FreePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	address := func(i int) string { return "127.0.0.1:" + ports[i] }
	write := func(listeners ...string) string {
		return site.writeWithout(t, "listeners", "listeners: ["+strings.Join(listeners, ", ")+
			"]\nsettings: {login_type: plain_text_login}\nhealth: {config_watch: 0s}\n")
	}
	listener := func(i int, tls string) string { return fmt.Sprintf("{address: %q, tls: %s}", address(i), tls) }
	r := site.serve(t, write(listener(0, "none"), listener(1, "none")))
	signedIn := func(i int) *testkit.Conn {
		t.Helper()
		c := testkit.Dial(t, address(i), nil)
		c.Expect("* OK *")
		c.Command("a", "LOGIN alice secret")
		return c
	}
	removed, changed := signedIn(0), signedIn(1)

	write(listener(1, "implicit"), listener(2, "none"))
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	added := signedIn(2)
	testkit.Dial(t, address(1), r.trust()).Expect("* OK *")
	if conn, err := net.Dial("tcp", address(0)); err == nil {
		conn.Close()
		t.Error("the removed listener takes clients")
	}
	for _, c := range []*testkit.Conn{removed, changed, added} {
		c.Command("b", "NOOP")
	}
	if err := r.clients.listeners.ready(); err != nil {
		t.Error(err)
	}

	other, err := net.Listen("tcp", address(3))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	write(listener(0, "none"), listener(1, "none"), listener(3, "none"))
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), "listeners[2]: ") {
		t.Errorf("with a port that is in use: %v", err)
	}
	testkit.Dial(t, address(1), r.trust()).Expect("* OK *")
	signedIn(2)
	if conn, err := net.Dial("tcp", address(0)); err == nil {
		conn.Close()
		t.Error("a listener of the refused configuration is open")
	}
}
