//go:build unix

package node

import (
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
	testkit.Eventually(t, "no process answers", func() bool {
		_, err := u.anyGenerations()
		return err != nil
	})
	waiting = testkit.Dial(t, u.address, nil)
	u.start(t)
	waiting.Expect("* OK *")
}

// Sockets of the service manager may be those of HTTP too. An upgrade hands them on, and nobody removes the path.
func TestSocketsOfTheServiceManagerForHTTP(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	send(t, u.cmd.Process, syscall.SIGTERM)
	if err := u.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", u.socket)
	if err == nil {
		err = os.Chmod(u.socket, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	tcp := testkit.Listen(t)
	u.sockets = []*os.File{fileOf(t, socket.(*net.UnixListener)), fileOf(t, tcp.(*net.TCPListener))}
	u.replace(t, "[::1]:0", tcp.Addr().String())
	u.cmd = u.start(t)
	answers := func() {
		t.Helper()
		answer, err := http.Get("http://" + tcp.Addr().String() + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	answers()
	u.run(t, 0, "service", "upgrade")
	if err := u.cmd.Wait(); err != nil {
		t.Error(err)
	}
	answers()
	all := u.generations(t)
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	syscall.Kill(all[0].PID, syscall.SIGTERM)
	testkit.Eventually(t, "it has ended", func() bool { return strings.Count(u.logged(t), `"stopped"`) == 3 })
	if info, err := os.Stat(u.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	if strings.Contains(u.logged(t), "the service manager has a socket open") {
		t.Error("a socket is not used")
	}
}

// What cannot take clients is refused, by the name of its unit.
func TestUnusableSocketsOfTheServiceManager(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	ln := testkit.Listen(t).(*net.TCPListener)
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	path := filepath.Join(t.TempDir(), "datagram")
	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	const unit = "socket portico.socket of the service manager: "
	const why = " accepts no connections: its unit needs ListenStream= and Accept=no"
	given := make(activated)
	if err := given.add(fileOf(t, ln)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file *os.File
		want string
	}{
		{fileOf(t, udp.(*net.UDPConn)), unit + udp.LocalAddr().String() + why},
		{fileOf(t, client.(*net.TCPConn)), unit + client.LocalAddr().String() + why},
		{fileOf(t, datagram), unit + path + why},
		{plain, unit + "socket operation on non-socket"},
		{fileOf(t, ln), unit + "another one has " + ln.Addr().String() + " too"},
	} {
		fd, err := syscall.Dup(int(c.file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		if err := given.add(os.NewFile(uintptr(fd), "portico.socket")); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// A front end that starts again does not need the service manager to close its socket.
func TestRelistenOnTheServiceManagersSocket(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	l := &r.clients.listeners
	l.given = activated{l.addresses()[0].String(): fileOf(t, l.open[0].socket.(*net.TCPListener))}
	if err := l.relisten(); err != nil {
		t.Error(err)
	}
	r.signIn(t).Command("b", "LOGOUT")
}

// The service manager does not close its sockets, so no other listener can have their port.
func TestOverlapWithASocketOfTheServiceManager(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, "health: {config_watch: 0s}\n"))
	l := &r.clients.listeners
	given := l.addresses()[0].String()
	l.given = activated{given: fileOf(t, l.open[0].socket.(*net.TCPListener))}
	everywhere := strings.Replace(given, "127.0.0.1", "0.0.0.0", 1)
	site.replace(t, "127.0.0.1:0", everywhere)
	want := "the service manager has " + given + " open; change its socket unit and restart Portico"
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	testkit.Dial(t, given, nil).Expect("* OK *")
	site.replace(t, everywhere, "127.0.0.1:0")
	if err := r.reload(); err != nil {
		t.Error(err)
	}
	site.replace(t, `{address: "127.0.0.1:0", tls: starttls}, `, "")
	if err := r.reload(); err != nil {
		t.Error(err)
	}
	if got := r.log.String(); strings.Count(got, "the service manager has a socket open") != 1 {
		t.Error("nothing is said of the socket that no listener has any more")
	}
}

// listensOn returns a listening socket that this process does not accept from.
func listensOn(t *testing.T, address string) *os.File {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return fileOf(t, ln.(*net.TCPListener))
}

// fileOf returns another descriptor of a socket.
func fileOf(t *testing.T, socket interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	file, err := socket.File()
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
		left := maps.Clone(given)
		for _, one := range wanted {
			delete(left, listensAt(networkOf(one.Address, wanted), one.Address))
		}
		if got := strings.Join(slices.Sorted(maps.Keys(left)), " "); got != c.unused {
			t.Errorf("%v: unused %q, want %q", c.listeners, got, c.unused)
		}
	}
}
