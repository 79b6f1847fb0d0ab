package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

func TestServe(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	before := runtime.GOMAXPROCS(0)
	r := site.serve(t, site.write(t, "setup_slots: 3\n"))
	if got := runtime.GOMAXPROCS(0); got != 2+3+before {
		t.Errorf("GOMAXPROCS is %d with 2 loops and 3 set-up slots, and was %d", got, before)
	}

	c := testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil)
	c.Expect("* OK [CAPABILITY *] Portico is ready.")
	c.Command("a", "STARTTLS")
	c.StartTLS(r.trust())
	c.Command("b", "LOGIN alice secret")
	c.Command("c", "SELECT INBOX")

	if status, body := r.get(t, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, body)
	}
	_, metrics := r.get(t, "/metrics")
	for _, line := range []string{
		`portico_command_duration_seconds_count{command="SELECT",server="mbx1"} 1`,
		`portico_sessions{state="relayed"} 1`,
		`portico_config_last_reload_successful 1`,
		`go_goroutines`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("/metrics has no %s", line)
		}
	}

	r.signals <- syscall.SIGTERM
	c.Expect("* BYE *")
	c.ExpectEOF()
	r.stopped(t)
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("GOMAXPROCS is left at %d", got)
	}
	if _, err := os.Stat(filepath.Join(site.dir, "admin.sock")); err == nil {
		t.Error("admin.sock is left")
	}
}

// get asks over HTTP, through the socket.
func (r *running) get(t testing.TB, path string) (status int, body string) {
	t.Helper()
	status, _, body = r.send(t, http.MethodGet, path, "", nil)
	return status, body
}

// send sends a request over HTTP, through the socket.
func (r *running) send(t testing.TB, method, path, body string, header http.Header) (status int, answered http.Header,
	answer string) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(r.site.dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := http.Client{Timeout: testkit.Patience, Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(testkit.Context(t), method, "http://localhost"+path,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, header)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

// shownName is the first name of the certificate that new clients see.
func (r *running) shownName(t *testing.T) string {
	t.Helper()
	conn, err := tls.Dial("tcp", r.clients.listeners.addresses()[1].String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

func TestReload(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	c := r.signIn(t)

	site.certificate(t, "mail", "new.example.org", "localhost")
	site.write(t, "settings: {banner: Another one.}\nkeepalive_idle: 5m\nsetup_slots: 7\n")
	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	r.logged(t, `"keys":["setup_slots"]`)
	if name := r.shownName(t); name != "new.example.org" {
		t.Errorf("the certificate shown is for %s", name)
	}
	testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil).Expect("* OK * Another one.")
	c.Command("b", "NOOP") // the session goes on
}

// A reload says which mailbox server has another address, and of no other.
func TestReloadLogsAddresses(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	servers := func(mbx2 string) string {
		return site.writeWithout(t, "mailbox_servers", fmt.Sprintf(`mailbox_servers: {mbx1: {address: "127.0.0.1:1", tls: none}, mbx2: {addresses: [%s], tls: none}}
`, mbx2))
	}
	r := site.serve(t, servers(`"127.0.0.1:2"`))
	servers(`"127.0.0.1:2", "127.0.0.3:2"`)
	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	r.logged(t, `"server":"mbx2","old":["127.0.0.1:2"],"new":["127.0.0.1:2","127.0.0.3:2"]`)
	if n := strings.Count(r.log.String(), "address of a mailbox server changed"); n != 1 {
		t.Errorf("%d lines of changed addresses", n)
	}
}

func TestReloadOfABadFileChangesNothing(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	for name, spoil := range map[string]func(){
		"no such setting": func() { site.write(t, "settings: {baner: Another one.}\n") },
		"no certificate": func() {
			site.write(t, "settings: {banner: Another one.}\n")
			os.WriteFile(filepath.Join(site.dir, "mail.crt"), []byte("nonsense"), 0o600)
		},
		"no file": func() { os.Remove(filepath.Join(site.dir, "portico.yaml")) },
	} {
		site.certificate(t, "mail", "localhost")
		spoil()
		failures := strings.Count(r.log.String(), "nothing has changed")
		r.signals <- syscall.SIGHUP
		testkit.Eventually(t, name,
			func() bool { return strings.Count(r.log.String(), "nothing has changed") > failures })
		testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil).Expect("* OK * Portico is ready.")
		if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "portico_config_last_reload_successful 0") {
			t.Errorf("%s: /metrics does not tell", name)
		}
	}
	r.logged(t, "settings.baner")
}

// What a reload has put in force before it fails is taken back.
func TestReloadDoesNotTakeTLSAway(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	site.writeWithout(t, "listeners", "listeners: [{address: \"127.0.0.1:0\", tls: none}]\n")
	text, _ := os.ReadFile(filepath.Join(site.dir, "portico.yaml"))
	without := strings.ReplaceAll(string(text), "tls: {certificates: [{cert: mail.crt, key: mail.key}]}\n", "")
	without = strings.ReplaceAll(without, "db1", "db2")
	os.WriteFile(filepath.Join(site.dir, "portico.yaml"), []byte(without), 0o600)
	r.signals <- syscall.SIGHUP
	r.logged(t, "nothing has changed")
	r.shownName(t)
	r.signIn(t)
	if _, ok := r.mailbox.active.Active("db1"); !ok {
		t.Error("db1 is not known any more")
	}
}

func TestReloadOfTheDefaultDomain(t *testing.T) {
	site := newSite(t)
	r := site.serve(t, site.write(t, "default_domain: old.example\n"))
	site.write(t, "default_domain: new.example\n")
	r.signals <- syscall.SIGHUP
	r.logged(t, `"message":"reloaded"`)
	status, out, errs := command("user", "where", "--admin", filepath.Join(site.dir, "admin.sock"), "alice")
	// nobody answers at the server's address
	if !strings.Contains(out, "alice@new.example") || status != cli.StatusBad {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

func TestLogLevelIsReloaded(t *testing.T) {
	site := newSite(t)
	r := site.serve(t, site.write(t, "log: {level: error}\n"))
	if strings.Contains(r.log.String(), `"ready"`) {
		t.Errorf("level error: %s", r.log)
	}
	site.write(t, "log: {level: info}\n")
	r.signals <- syscall.SIGHUP
	r.logged(t, `"level":"info"`)
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveSilence(t)
	r := site.serve(t, site.write(t, "shutdown_timeout: 1h\n"))
	c := r.signIn(t)
	c.Send("b NOOP") // never answered: the session has an open command
	testkit.Eventually(t, "an open command", func() bool {
		_, metrics := r.get(t, "/metrics")
		return strings.Contains(metrics, `portico_requests_queued{server="mbx1"} 1`)
	})
	r.signals <- syscall.SIGTERM
	r.logged(t, `"message":"stopping"`)
	testkit.Eventually(t, "/readyz to say no", func() bool {
		status, body := r.get(t, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "shutdown: in progress")
	})
	r.signals <- syscall.SIGHUP // means nothing now
	r.signals <- syscall.SIGINT
	r.stopped(t)
	r.logged(t, "stopping at once")
}

func TestShutdownTimeout(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveSilence(t)
	r := site.serve(t, site.write(t, "shutdown_timeout: 50ms\n"))
	r.signIn(t).Send("b NOOP")
	r.signals <- syscall.SIGTERM
	r.stopped(t)
}

// What cannot be opened ends the start, and leaves nothing open.
func TestStartFails(t *testing.T) {
	testkit.NoLeaks(t)
	taken := testkit.Listen(t).Addr().String()
	for name, c := range map[string]struct{ without, more, words string }{
		"listener": {"listeners", `listeners: [{address: "127.0.0.1:0", tls: implicit}, {address: "` + taken +
			`", tls: implicit}]`, "listeners[1]: "},
		"admin address":  {"admin", `admin: {socket: "", address: "` + taken + `"}`, "admin.address " + taken},
		"admin socket":   {"admin", `admin: {socket: mail.crt, address: ""}`, "admin.socket: "},
		"data directory": {"data_dir", "data_dir: mail.crt", "data_dir "},
	} {
		t.Run(name, func(t *testing.T) {
			site := newSite(t)
			status, _, errs := command("serve", "--config", site.writeWithout(t, c.without, c.more+"\n"))
			if status != cli.StatusFailed || !strings.Contains(errs, c.words) {
				t.Errorf("status %d: %s", status, errs)
			}
		})
	}
}

func TestSecondServiceIsRefused(t *testing.T) {
	site := newSite(t)
	file := site.write(t, "")
	site.serve(t, file)
	begun := time.Now()
	status, _, errs := command("serve", "--config", file)
	if status != cli.StatusFailed || !strings.Contains(errs, "another Portico is running with this data_dir") {
		t.Errorf("status %d after %v: %s", status, time.Since(begun), errs)
	}
}

// Reloads and restarts of the front end free what they replace, though a client is connected that began before them.
func TestReloadsFreeWhatTheyReplace(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	site.put(t, "users.map", "alice db1\n")
	r := site.serve(t, site.write(t, "directory: {sources: [{file: users.map}]}\n"))
	testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil).Expect("* OK *")
	r.signIn(t).Command("b", "LOGOUT")
	before := runtime.NumGoroutine()
	const reloads = 40
	for range reloads {
		if err := r.reload(); err != nil {
			t.Fatal(err)
		}
		if err := r.restartFrontEnd(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "the goroutines of before", func() bool { return runtime.NumGoroutine() < before+reloads/2 })
	r.signIn(t).Command("b", "LOGOUT")
}

// A change over HTTP while the service ends, or begins, is no data race.
func TestSettingsChangeWhileStopping(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for range 20 {
			settingsAPI{r.service}.ChangeSettings(context.Background(),
				admin.SettingsChange{Set: map[string]string{"banner": "Another one."}},
				func([]admin.SettingState) error { return nil })
		}
	}()
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	<-changed
}
