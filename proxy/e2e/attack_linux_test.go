package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// attackSignIns is small, since an attack takes all CPU that there is. docs/performance.md has more of them.
var attackSignIns = flag.Int("sign-ins", 5, "how many sign-ins TestAttack makes at least, one each second")

// TestAttack starts `portico serve` with all settings at their defaults in front of a real Dovecot, which is told the
// clients' addresses. Strangers do all at once what they can, and a user who signs in once a second is let in every
// time, until each kind of strangers has done something. How long that takes is reported; it fails no test, as all
// share the machine. docs/performance.md has figures.
func TestAttack(t *testing.T) {
	if task := os.Getenv(strangersTask); task != "" {
		must(t, attack(task))
		return
	}
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users:      []backendtest.User{{Name: "ada", Password: password}},
		Mechanisms: []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}, TrustedNetworks: "127.0.0.0/8",
	})
	testkit.NoLeaks(t)
	portico := startPortico(t, server)
	if err := portico.signIn("ada"); err != nil {
		t.Fatal(err)
	}
	acted, attackers := portico.attack(t, "ada")
	began := time.Now()
	var took []time.Duration
	for len(took) < *attackSignIns || !over(acted) && time.Since(began) < testkit.Patience {
		asked := time.Now()
		if err := portico.signIn("ada"); err != nil {
			t.Errorf("a good user after %v: %v", time.Since(asked), err)
		}
		took = append(took, time.Since(asked))
		pauseFor(t.Context(), time.Second-time.Since(asked))
	}
	lasted := time.Since(began)
	counters := portico.metrics(t)
	done, strangersSpent := attackers()
	spent := portico.stop(t)

	for kind, n := range map[string]int{"silent clients": done.Connected, "handshakes": done.Handshakes,
		"guesses":   done.Guesses,
		"exchanges": done.Exchanges, "odd tags": done.Tags} {
		if n == 0 {
			t.Errorf("no %s: that was no attack", kind)
		}
	}
	slices.Sort(took)
	t.Logf("%d sign-ins: median %v, slowest %v", len(took), took[len(took)/2].Round(time.Millisecond),
		took[len(took)-1].Round(time.Millisecond))
	t.Logf("what strangers did in %v: %+v", lasted.Round(time.Second), done)
	t.Logf("CPU: Portico %v, strangers %v", spent.Round(100*time.Millisecond),
		strangersSpent.Round(100*time.Millisecond))
	t.Logf("Portico counted:\n%s", counters)
}

// realPortico is a running `portico serve`.
type realPortico struct {
	cmd           *exec.Cmd
	tls, startTLS string // addresses
	admin         string
	trust         *tls.Config
	log           *os.File
}

// startPortico builds Portico, with the flags in GOFLAGS, and starts it with a configuration that leaves all settings
// at their defaults.
func startPortico(t *testing.T, server *backendtest.Dovecot) *realPortico {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "portico")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "portico/cmd/portico")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ca, err := backendtest.NewCA("Portico test CA")
	must(t, err)
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost"}})
	must(t, err)
	_, _, err = cert.WriteFiles(dir, "front")
	must(t, err)
	config := filepath.Join(dir, "portico.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `
listeners: [{address: "127.0.0.1:0", tls: implicit}, {address: "localhost:0", tls: starttls}]
tls: {certificates: [{cert: front.crt, key: front.key}]}
mailbox_servers: {mbx1: {address: %q, tls: none, trusted_id: true}}
databases: {db1: {copies: [mbx1]}}
admin: {socket: admin.sock, address: "127.0.0.2:0"}
data_dir: data
`, server.Plain), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	p := &realPortico{cmd: exec.Command(program, "serve", "--config", config),
		trust: ca.ClientConfig("localhost"), log: log}
	p.cmd.Stderr = log
	must(t, p.cmd.Start())
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait() // unless stop has
		log.Close()
	})
	testkit.Eventually(t, "Portico is ready", func() bool { return p.listening(t) })
	return p
}

// listening reads the log and says whether Portico is ready, with its addresses.
func (p *realPortico) listening(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile(p.log.Name())
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var entry struct{ Message, Address, TLS string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue // it is being written
		}
		switch {
		case entry.Message == "ready":
			return true
		case entry.Message == "listening" && entry.TLS == "implicit":
			p.tls = entry.Address
		case entry.Message == "listening":
			p.startTLS = entry.Address
		case entry.Message == "HTTP server started" && !strings.HasPrefix(entry.Address, "/"):
			p.admin = entry.Address
		}
	}
	return false
}

// signIn signs in from an address of the user's own, and out again.
func (p *realPortico) signIn(user string) error {
	conn, err := connectFrom(context.Background(), p.tls, "127.0.0.2")
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	secured := tls.Client(conn, p.trust)
	io.WriteString(secured, "a LOGIN "+user+" "+password+"\r\nb LOGOUT\r\n")
	for in := bufio.NewReader(secured); ; {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("%q, %w", line, err)
		case strings.HasPrefix(line, "a OK "):
			return nil
		case strings.HasPrefix(line, "a ") || strings.HasPrefix(line, "* BYE"):
			return fmt.Errorf("told %q", line)
		}
	}
}

// attack starts strangers, and returns when they attack. acted is closed when each kind of them has done something;
// end ends them.
func (p *realPortico) attack(t *testing.T, user string) (acted chan struct{}, end func() (tally, time.Duration)) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	task, err := json.Marshal(map[string]any{"TLS": p.tls, "StartTLS": p.startTLS, "User": user,
		"Idle": idleStrangers(t)})
	must(t, err)
	// they would be on machines of their own
	cmd := exec.Command("nice", "-n", "19", self, "-test.run", "^TestAttack$")
	cmd.Env = append(os.Environ(), strangersTask+"="+string(task))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // unless end has
	})
	said := bufio.NewScanner(out)
	if !said.Scan() || said.Text() != "attacking" {
		t.Fatalf("strangers: %q, %v", said.Text(), said.Err())
	}
	acted = make(chan struct{})
	report := make(chan string, 1)
	go func() {
		if said.Scan() && said.Text() == "acted" {
			close(acted)
			said.Scan()
		}
		report <- said.Text()
	}()
	return acted, func() (done tally, spent time.Duration) {
		in.Close()
		if text := <-report; json.Unmarshal([]byte(text), &done) != nil {
			t.Errorf("strangers: %q: %v", text, said.Err())
		}
		cmd.Wait()
		return done, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
}

// over says whether a channel is closed.
func over(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// idleStrangers is 10,000, or what the descriptors of their process are enough for.
func idleStrangers(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	return int(min(10_000, limit.Max-min(limit.Max, 1000)))
}

// metrics returns the lines of /metrics that say how connections and sign-ins have ended.
func (p *realPortico) metrics(t *testing.T) string {
	t.Helper()
	answer, err := http.Get("http://" + p.admin + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		for _, name := range []string{"portico_connections_total{", "portico_signin_refusals_total{",
			"portico_signin_guesses_delayed_total ", "portico_sessions{"} {
			if strings.HasPrefix(line, name) && !strings.HasSuffix(line, " 0\n") {
				lines.WriteString(line)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return lines.String()
}

// stop ends Portico in order and returns what CPU time it has spent.
func (p *realPortico) stop(t *testing.T) time.Duration {
	t.Helper()
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("portico: %v", err)
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}
