//go:build unix

package node

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// An upgrade opens addresses that overlap those of the process before, which goes on if the upgrade fails.
func TestUpgradeToOverlappingAddresses(t *testing.T) {
	ports, err := backendtest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	_, port, _ := net.SplitHostPort(u.address)
	elsewhere := net.JoinHostPort("127.0.0.2", port)
	u.replace(t, "[::1]:0", "127.0.0.1:"+ports[0])
	u.run(t, 0, "service", "upgrade")
	session := u.signedIn(t)
	u.replace(t, "127.0.0.1:"+port, "0.0.0.0:"+port)
	u.replace(t, "127.0.0.1:"+ports[0], "localhost:"+ports[0])

	other, err := net.Listen("tcp", elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if why := u.run(t, 2, "service", "upgrade"); !strings.Contains(why, "listeners[0]: listen on 0.0.0.0:"+port) {
		t.Errorf("with an address that another program has: %s", why)
	}
	u.signedIn(t).Command("b", "LOGOUT")
	other.Close()

	u.run(t, 0, "service", "upgrade")
	session.Command("b", "NOOP")
	u.signedIn(t)
	testkit.Dial(t, elsewhere, nil).Expect("* OK *")
	answer, err := http.Get("http://127.0.0.1:" + ports[0] + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}
