package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs/applied"
	"portico/health/admin"
	"portico/health/admin/client"
)

// watchedShortly is a configuration of probes whose results are watched for a moment only.
const watchedShortly = healthTimings + "  config_watch: 1500ms\n"

// configured is a watched site that runs, with a user who is signed in.
func configured(t *testing.T, more string) (*watchedSite, *running, *testkit.Conn) {
	t.Helper()
	w := newWatchedSite(t, nil)
	t.Setenv("PORTICO_ADMIN", filepath.Join(w.dir, "admin.sock"))
	r := w.serve(t, w.config(t, more))
	return w, r, r.signsInAs(t, "anna")
}

// latest is the configuration that was applied last.
func latest(t *testing.T) (r admin.ConfigRecord) {
	t.Helper()
	var all []admin.ConfigRecord
	text := said(t, cli.StatusFine, "config history -o json")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Errorf("%v in %s", err, text)
	}
	if len(all) == 0 { // it starts
		return r
	}
	return all[0]
}

// takesSilently takes connections and says nothing.
func takesSilently(t *testing.T) (address string) {
	ln := testkit.Listen(t)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return ln.Addr().String()
}

// A bad configuration is refused, or withdrawn when the probes get worse. People are told, and nobody is cut. A start
// takes what was in force before.
func TestBadConfigurationAtNight(t *testing.T) {
	testkit.NoLeaks(t)
	var told testkit.Log
	alerts := httptest.NewServer(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { io.Copy(&told, r.Body) }))
	defer alerts.Close()
	w, r, session := configured(t, fmt.Sprintf("%s  config_watch: 3m\n  escalate: {alertmanager: {url: %q}}\n",
		healthTimings, alerts.URL))
	good, err := os.ReadFile(r.config.path)
	if err != nil {
		t.Fatal(err)
	}
	taken := testkit.Listen(t)
	for _, c := range []struct{ name, old, new, says string }{
		{"a mistake", "listeners:", "listenerss:", "portico.yaml:1:1: listenerss: unknown key"},
		{"no certificate", "mail.crt", "missing.crt", "no such file"},
		{"a port in use", "127.0.0.1:0", taken.Addr().String(), "address already in use"},
		{"a wrong server", w.valves[0].ln.Addr().String(), "127.0.0.1:1",
			"was withdrawn, and configuration 1 was put back: ImapSelfTestProbe/mbx1: "},
		{"a silent directory", "routing: hash\n", fmt.Sprintf(
			"directory: {timeout: 300ms, sources: [{http: {urls: [%q]}}]}\n", "http://"+takesSilently(t)),
			"was withdrawn, and configuration 1 was put back: ImapProxyTestProbe/127.0.0.1:0: route: "},
	} {
		w.put(t, "portico.yaml", string(good))
		w.replace(t, c.old, c.new)
		began := time.Now()
		wantSaid(t, cli.StatusFailed, "config apply", c.says)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: it took %v", c.name, took)
		} else {
			t.Logf("%s: %v", c.name, took)
		}
		session.Command("n", "NOOP")
		last := latest(t)
		if last.InForce || last.Reason == "" || last.Result != string(applied.Refused) &&
			last.Result != string(applied.Withdrawn) {
			t.Errorf("%s: %+v", c.name, last)
		}
		if last.Result == string(applied.Withdrawn) {
			r.logged(t, `"message":"configuration withdrawn"`)
			testkit.Eventually(t, "people are told", func() bool {
				return strings.Contains(told.String(), fmt.Sprintf("configuration %d of ", last.Number))
			})
		}
		r.signsInAs(t, "bert").Command("n", "NOOP")
		chosen, err := choose(r.config.path)
		if err != nil || string(chosen.text) != string(good) {
			t.Errorf("%s: a start takes %s, %v", c.name, chosen.text, err)
		}
	}
	wantSaid(t, cli.StatusBad, "config diff", "directory.sources[0].http.urls")
	w.put(t, "portico.yaml", string(good))
	wantSaid(t, cli.StatusFine, "config apply", "configuration 1 was in force already")
	wantSaid(t, cli.StatusFine, "config diff", "Nothing differs")
}

// A configuration from another file is applied: listeners come and go, sessions continue. The next start takes it, as
// long as nobody edits the file. A rollback takes it back, also over a restart and a reload.
func TestApplyAndRollBack(t *testing.T) {
	testkit.NoLeaks(t)
	w, r, session := configured(t, watchedShortly)
	file := r.config.path
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := backendtest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "new.yaml")
	changed := strings.NewReplacer(`{address: "127.0.0.1:0", tls: starttls}`,
		fmt.Sprintf(`{address: "127.0.0.1:%s", tls: starttls}`, ports[0]),
		"plain_text_login", "plain_text_login, banner: Changed.").Replace(string(original))
	changed += "loops: 1\n"
	if err := os.WriteFile(other, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"config diff " + other, "config apply --dry-run " + other} {
		status := cli.StatusFine
		if strings.Contains(line, "diff") {
			status = cli.StatusBad
		}
		got := said(t, status, line)
		for _, want := range []string{"settings.banner", "new connections", "restart",
			"\n\nListeners, sessions and databases:\n- listener", "\n\nWarnings:\n- ",
			"listener 127.0.0.1:0, tls starttls: takes no clients any more; its 0 sessions continue",
			"listener 127.0.0.1:" + ports[0] + ", tls starttls: takes clients"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", line, want, got)
			}
		}
	}
	banner := func(r *running, want string) {
		t.Helper()
		testkit.Dial(t, r.clients.listeners.addresses()[0].String(), nil).Expect("* OK * " + want)
	}
	banner(r, "Portico is ready.")

	wantSaid(t, cli.StatusFine, "config apply "+other, "portico service upgrade: loops")
	if last := latest(t); last.Number != 2 || last.Result != string(applied.Applied) || !last.InForce ||
		last.From != "new.yaml" || last.Who == "" {
		t.Errorf("%+v", last)
	}
	banner(r, "Changed.")
	session.Command("n", "NOOP")
	if got := said(t, cli.StatusFine, "config show"); got != changed {
		t.Errorf("config show prints\n%s", got)
	}
	wantSaid(t, cli.StatusBad, "config diff", "loops")

	restart := func() *running {
		t.Helper()
		r.signals <- syscall.SIGTERM
		r.stopped(t)
		return w.serve(t, file)
	}
	r = restart()
	banner(r, "Changed.")
	r.logged(t, "a start takes configuration 2, applied at ")
	wantSaid(t, cli.StatusFine, "check --config "+file, "a start takes configuration 2")
	wantSaid(t, cli.StatusFine, "config rollback", "going back from configuration 2 to configuration 1 of ")
	banner(r, "Portico is ready.")

	w.put(t, "portico.yaml", changed) // as an operator does who wants one file
	r.signals <- syscall.SIGHUP
	testkit.Eventually(t, "the edited file is applied", func() bool {
		last := latest(t)
		return last.Who == bySignal && last.Result == string(applied.Applied)
	})
	banner(r, "Changed.")
	wantSaid(t, cli.StatusFine, "config rollback 1", "configuration 1")
	r.signals <- syscall.SIGHUP // the file has not been edited since
	r.logged(t, "portico config apply applies it")
	r = restart()
	banner(r, "Portico is ready.")

	w.put(t, "portico.yaml", changed+"# once more\n")
	r = restart()
	banner(r, "Changed.")
	if last := latest(t); last.Result != string(applied.Started) || !last.InForce {
		t.Errorf("%+v", last)
	}
	wantSaid(t, cli.StatusFailed, "config show 99", "there is no configuration 99")
	wantSaid(t, cli.StatusFailed, "config rollback 99", "there is no configuration 99")
}

// Another apply replaces the one that is watched, and what was before both is put back. Who has asked for an apply may
// go away.
func TestApplyWhileOneIsWatched(t *testing.T) {
	testkit.NoLeaks(t)
	w, r, session := configured(t, healthTimings+"  config_watch: 3m\n")
	w.replace(t, "plain_text_login", "plain_text_login, banner: First.")
	asking, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		portico := client.New(filepath.Join(w.dir, "admin.sock"), client.Credentials{})
		left <- portico.Post(asking, admin.PathConfigApply, admin.Candidate{}, &admin.ConfigRecord{})
	}()
	testkit.Eventually(t, "the first is in force", func() bool { return r.applies.current().number == 2 })
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who asks hears %v", err)
	}
	r.banner(t, "First.")
	if _, err := r.upgrade(t.Context(), "/bin/false", 0); !errors.Is(err, errWatching) {
		t.Errorf("an upgrade meanwhile: %v", err)
	}
	w.replace(t, w.valves[0].ln.Addr().String(), "127.0.0.1:1")
	r.signals <- syscall.SIGHUP
	testkit.Eventually(t, "the second is withdrawn", func() bool {
		return latest(t).Result == string(applied.Withdrawn)
	})
	r.banner(t, "Portico is ready.")
	session.Command("n", "NOOP")
	wantSaid(t, cli.StatusFine, "config history", "replaced")
	wantSaid(t, cli.StatusFailed, "config rollback", "there is nothing to roll back: configuration 3 is not in force")
}

// If the configuration before cannot be put back, people are told that too, and a start takes the one that runs.
func TestNotWithdrawn(t *testing.T) {
	testkit.NoLeaks(t)
	w, r, _ := configured(t, healthTimings+"  config_watch: 3m\n")
	w.certificate(t, "other", "localhost")
	if err := os.Remove(filepath.Join(w.dir, "mail.key")); err != nil {
		t.Fatal(err)
	}
	w.replace(t, "cert: mail.crt, key: mail.key", "cert: other.crt, key: other.key")
	w.replace(t, w.valves[0].ln.Addr().String(), "127.0.0.1:1")
	wantSaid(t, cli.StatusFailed, "config apply", "the configuration before cannot be put back: tls.certificates")
	if last := latest(t); last.Result != string(applied.NotWithdrawn) || !last.InForce {
		t.Errorf("%+v", last)
	}
	r.logged(t, `"message":"configuration not withdrawn"`)
	wantSaid(t, cli.StatusFine, "config diff", "Nothing differs")
	site := w.valves[0].ln.Addr().String()
	w.replace(t, "127.0.0.1:1\"", site+"\"")
	r.signals <- syscall.SIGHUP
	testkit.Eventually(t, "the next one is watched", func() bool { return latest(t).Result == string(applied.Watched) })
}

// A process that is killed or stopped while a configuration is watched leaves the one before to the next start. Who has
// asked for the apply hears it.
func TestKilledWhileWatched(t *testing.T) {
	testkit.NoLeaks(t)
	w := newWatchedSite(t, nil)
	t.Setenv("PORTICO_ADMIN", filepath.Join(w.dir, "admin.sock"))
	file := w.config(t, healthTimings+"  config_watch: 3m\n")
	cmd := testkit.Program(t, "serve", "--config", file)
	var log testkit.Log
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	testkit.Eventually(t, "it has started", func() bool {
		_, out, _ := command("config", "history")
		return strings.Contains(out, string(applied.Started))
	})
	w.replace(t, "plain_text_login", "plain_text_login, banner: Changed.")
	asked, notes := make(chan int, 1), new(testkit.Log)
	go func() { asked <- cli.Run([]string{"config", "apply"}, io.Discard, notes, program) }()
	testkit.Eventually(t, "the command says that it is watched", func() bool {
		return strings.Contains(notes.String(), "configuration 2 is in force, and its probes are watched")
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if status := <-asked; status != cli.StatusFailed {
		t.Errorf("exit status %d", status)
	}
	for _, want := range []string{"checking the configuration", "the result is not known", "portico config history"} {
		if !strings.Contains(notes.String(), want) {
			t.Errorf("the command does not say %q:\n%s", want, notes)
		}
	}
	r := w.serve(t, file)
	r.banner(t, "Portico is ready.")
	if last := latest(t); last.Result != string(applied.Interrupted) || last.InForce {
		t.Errorf("%+v", last)
	}
	wantSaid(t, cli.StatusFailed, "config rollback", "configuration 2 is not in force any more (interrupted)")

	stopped := make(chan string, 1)
	go func() {
		_, _, errs := command("config", "apply")
		stopped <- errs
	}()
	testkit.Eventually(t, "it is watched again", func() bool { return latest(t).Result == string(applied.Watched) })
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	if errs := <-stopped; !strings.Contains(errs, "stopping and has not watched the configuration to the end") {
		t.Errorf("at a stop the command says %s", errs)
	}
}

// Only the owner may send or read a whole configuration: it can name programs to run.
func TestWholeConfigurationsAreTheOwners(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.put(t, "token", "0123456789abcdef\n")
	file := site.writeWithout(t, "admin", `admin: {socket: admin.sock, address: "[::1]:0", token_file: token}
health: {config_watch: 0s}
`)
	r := site.serve(t, file)
	ask := func(method, path, body string) (status int, answer string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.api.address.String()+path,
			strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer 0123456789abcdef")
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, admin.PathConfigApply, `{"candidate":"loops: 1"}`, http.StatusForbidden},
		{http.MethodPost, admin.PathConfigPlan, `{"candidate":"loops: 1"}`, http.StatusForbidden},
		{http.MethodGet, admin.PathOf(admin.PathConfigText, "1"), "", http.StatusForbidden},
		{http.MethodPost, admin.PathConfigApply, `{}`, http.StatusOK},
		{http.MethodPost, admin.PathConfigPlan, `{}`, http.StatusOK},
		{http.MethodGet, admin.PathConfigDiff, "", http.StatusOK},
	} {
		if status, answer := ask(c.method, c.path, c.body); status != c.want {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, answer)
		}
	}
	status, _, answer := r.send(t, http.MethodPost, admin.PathConfigPlan, `{"candidate":"secret: sesame","name":"x"}`, nil)
	if status != http.StatusBadRequest || !strings.Contains(answer, "unknown key") {
		t.Errorf("%d %s", status, answer)
	}
	if log := r.log.String(); strings.Contains(log, "sesame") || !strings.Contains(log, `"candidate":"*****"`) {
		t.Error("the candidate is in the log")
	}
}
