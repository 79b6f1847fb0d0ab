//go:build unix

package node

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A real process with real signals, as a service manager sees it.
func TestProcess(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	manager, err := net.ListenUnixgram("unixgram",
		&net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(testkit.Patience))
	told := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		for {
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if got := string(buf[:n]); regexp.MustCompile(want).MatchString(got) {
				return
			} else if got != "WATCHDOG=1" {
				t.Fatalf("told %q, want %s", got, want)
			}
		}
	}

	cmd := testkit.Program(t, "serve", "--config", site.write(t, ""))
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+manager.LocalAddr().String(), "WATCHDOG_USEC=200000")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told("^READY=1$")
	told("^WATCHDOG=1$")
	send(t, cmd.Process, syscall.SIGHUP)
	told(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	told("^READY=1$")
	send(t, cmd.Process, syscall.SIGTERM)
	told("^STOPPING=1$")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
}

func send(t *testing.T, p *os.Process, sig os.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Two descriptors a session: the soft limit of many systems would be 512 sessions.
func TestDescriptorLimitIsRaised(t *testing.T) {
	testkit.Need(t, "sh")
	site := newSite(t)
	cmd := testkit.Program(t, "serve", "--config", site.writeWithout(t, "listeners",
		`listeners: [{address: "256.256.256.256:1", tls: none}]`))
	var hard syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &hard); err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{"sh", "-c", `ulimit -S -n 100; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	out, _ := cmd.CombinedOutput()
	_, after, _ := strings.Cut(string(out), `"descriptors":`)
	var got uint64
	if fmt.Sscan(after, &got); got < hard.Max-1 {
		t.Errorf("%d descriptors where %d are allowed: %s", got, hard.Max, out)
	}
}

// When signed-in clients have taken all descriptors that clients may have, HTTP, the admin socket and probes still
// work. Portico says that it is short itself, blames no mailbox server, and is well when there is room again.
func TestShortOfDescriptors(t *testing.T) {
	testkit.Need(t, "sh")
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	site.put(t, "health.password", "secret\n")
	ports, err := backendtest.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	listener, page := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	file := site.writeWithout(t, "listeners", fmt.Sprintf(`listeners: [{address: %q, tls: none}]
settings: {login_type: plain_text_login, max_connections_per_user: 1000}
health: {mailboxes: {db1: {user: alice, password_file: health.password}}}
`, listener))
	site.replace(t, "[::1]:0", page)
	cmd := testkit.Program(t, "serve", "--config", file)
	cmd.Args = append([]string{"sh", "-c", `ulimit -n 160; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	var log testkit.Log
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		send(t, cmd.Process, syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%v\n%s", err, &log)
		}
	}()
	var clients []net.Conn
	full := false // what others give back is taken too, as by a probe of this node that ends
	asks := func(status int, words string, args ...string) {
		t.Helper()
		last := ""
		defer func() {
			if t.Failed() {
				t.Logf("it says last:\n%s", last)
			}
		}()
		testkit.Eventually(t, fmt.Sprintf("%q says %q, with status %d", args, words, status), func() bool {
			if full {
				clients = append(clients, takeAll(t, listener)...)
			}
			got, out, errs := command(append(args, "--admin", filepath.Join(site.dir, "admin.sock"))...)
			last = out + errs
			// whatever the width of columns
			return got == status && strings.Contains(strings.Join(strings.Fields(out), " "), words)
		})
	}
	asks(cli.StatusFine, "Healthy", "health", "get", "PorticoResourcesMonitor")
	asks(cli.StatusFine, "", "override", "add", "Portico/PorticoResourcesCheck", "--property",
		"RecurrenceIntervalSeconds",
		"--value", "1")

	full = true
	clients = takeAll(t, listener)
	if status := getStatus("http://" + page + "/livez"); status != http.StatusOK {
		t.Errorf("/livez answers %d", status)
	}
	asks(cli.StatusFine, "Succeeded", "probe", "run", "IMAP.Protocol/ImapSelfTestProbe")
	asks(cli.StatusFine, "Succeeded", "probe", "run", "IMAP.Protocol/ImapDeepTestProbe")
	asks(cli.StatusBad, "Dependency : Portico", "health", "get", "PorticoResourcesMonitor", "-o", "list")
	asks(cli.StatusBad, "Dependency : Portico", "probe", "run", "IMAP/ImapCTPProbe", "-o", "list")
	asks(cli.StatusBad, "Dependency : Portico", "probe", "run", "IMAP.Proxy/ImapProxyTestProbe", "-o", "list")
	asks(cli.StatusFine, "mbx1 up", "server", "list")
	full = false
	for _, client := range clients {
		client.Close()
	}
	asks(cli.StatusFine, "Healthy", "health", "get", "PorticoResourcesMonitor")
	asks(cli.StatusFine, "Succeeded", "probe", "run", "IMAP/ImapCTPProbe")
}

// takeAll signs in to a listener until a client is told that there is no room.
func takeAll(t *testing.T, listener string) (clients []net.Conn) {
	t.Helper()
	for len(clients) < 160 {
		client, err := net.Dial("tcp", listener)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
		client.SetDeadline(time.Now().Add(testkit.Patience))
		fmt.Fprint(client, "a LOGIN alice secret\r\n")
		for lines := bufio.NewReader(client); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("client %d: %v", len(clients), err)
			}
			if strings.HasPrefix(line, "* BYE [UNAVAILABLE]") || strings.HasPrefix(line, "a NO [UNAVAILABLE]") {
				return clients
			}
			if strings.HasPrefix(line, "a OK") {
				break
			}
		}
	}
	t.Fatal("160 clients find room in 160 descriptors")
	return nil
}

// getStatus returns the status of a page, 0 without an answer.
func getStatus(url string) int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Patience}
	response, err := client.Get(url)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// A process that inherited SIGHUP as ignored has no window at all, and reloads as others do.
func TestHangupAtOnceUnderNohup(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	serve := testkit.Program(t, "serve", "--config", site.write(t, ""))
	cmd := exec.Command("/bin/sh", append([]string{"-c", `trap "" HUP; echo; exec "$@"`, "sh"}, serve.Args...)...)
	cmd.Env = serve.Env
	trapped, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if _, err := trapped.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	until := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("the log ended before %q: %v", want, lines.Err())
	}
	for range 20 { // before, during and after its initialisation
		send(t, cmd.Process, syscall.SIGHUP)
	}
	until(`"ready"`)
	send(t, cmd.Process, syscall.SIGHUP)
	until("reloaded")
	send(t, cmd.Process, syscall.SIGTERM)
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
