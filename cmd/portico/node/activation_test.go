//go:build unix

package node

import (
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/configs"
)

// A service manager has the listening socket: clients that come while no process runs wait in it. An upgrade hands it
// on, and the front end can be restarted afterwards.
func TestSocketOfTheServiceManager(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	send(t, u.cmd.Process, syscall.SIGTERM)
	if err := u.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	manager := listensOn(t, u.address)
	u.sockets = []*os.File{manager, listensOn(t, "127.0.0.1:0")}
	waiting := testkit.Dial(t, u.address, nil)
	u.cmd = u.start(t)
	waiting.Expect("* OK *")
	waiting.Send("a LOGIN alice secret")
	waiting.Expect("a OK *")
	if log := u.logged(t); strings.Count(log, "the service manager has a socket open") != 1 {
		t.Error("nothing is said of the socket that no listener has")
	}
	u.run(t, 0, "service", "upgrade")
	u.signedIn(t)
	for _, g := range u.generations(t) {
		syscall.Kill(g.PID, syscall.SIGKILL)
	}
	u.cmd.Wait()
	testkit.Eventually(t, "no process answers", func() bool { return len(u.generations(t)) == 0 })
	waiting = testkit.Dial(t, u.address, nil)
	u.start(t)
	waiting.Expect("* OK *")
}

// A front end that starts again does not need the service manager to close its socket.
func TestRelistenOnTheServiceManagersSocket(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	l := &r.clients.listeners
	file, err := l.open[0].socket.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l.given = activated{l.addresses()[0].String(): file}
	if err := l.relisten(); err != nil {
		t.Error(err)
	}
	r.signIn(t).Command("b", "LOGOUT")
}

// listensOn returns a listening socket that this process does not accept from.
func listensOn(t *testing.T, address string) *os.File {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// A socket is a listener's if it has the address, and for all addresses if it has the same kinds of addresses.
func TestWhoseSocketItIs(t *testing.T) {
	given := activated{"0.0.0.0:143": nil, "[::]:143": nil, "127.0.0.1:993": nil, "[::]:993": nil, "[::1]:144": nil}
	for _, c := range []struct {
		listeners []string
		unused    string
	}{
		{[]string{"0.0.0.0:143", "[::]:143", "127.0.0.1:993", ":993", "[::1]:144"}, ""},
		{[]string{":143", "localhost:993", "[::1]:144"}, "0.0.0.0:143 [::]:993"},
		{[]string{"0.0.0.0:143"}, "127.0.0.1:993 [::1]:144 [::]:143 [::]:993"},
	} {
		var wanted []configs.Listener
		for _, address := range c.listeners {
			wanted = append(wanted, configs.Listener{Address: address})
		}
		unused := given.unused(wanted)
		slices.Sort(unused)
		if got := strings.Join(unused, " "); got != c.unused {
			t.Errorf("%v: unused %q, want %q", c.listeners, got, c.unused)
		}
	}
}
