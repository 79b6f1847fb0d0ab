//go:build unix

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

// deployment is what an operator runs: three nodes in processes of their own behind HAProxy, with two Dovecots behind
// them and an etcd beside them. Each database has a copy on both Dovecots.
type deployment struct {
	*site       // what the nodes have in common
	etcd        *backendtest.Daemon
	dovecots    [2]*backendtest.Dovecot
	nodes       [3]*upgradable
	start       func(node int) // until the end of the whole test
	activations func() string  // what the hooks of the databases were told
	plain       string         // of HAProxy, for clients without TLS
	implicit    string         // and with it
	clients     []*reconnecting
}

// names of the nodes; the second has the address 10.0.0.6 in docs/frontends.md and 127.0.1.6 here.
func nameOf(node int) string    { return fmt.Sprintf("mx%d", node+1) }
func addressOf(node int) string { return fmt.Sprintf("127.0.1.%d", 5+node) }

func startDeployment(t *testing.T) *deployment {
	t.Helper()
	testkit.Need(t, "dovecot", "etcd", "haproxy", "sh")
	d := &deployment{site: newSite(t), etcd: testkit.Etcd(t, 1)[0]}
	users := []backendtest.User{{Name: "health1", Password: "secret"}, {Name: "health2", Password: "secret"}}
	for n := range 1000 { // those of storm are among them
		users = append(users, backendtest.User{Name: fmt.Sprintf("user%d", n), Password: "secret"})
	}
	for i := range d.dovecots {
		d.dovecots[i] = testkit.Dovecot(t, backendtest.DovecotOptions{Users: users})
	}
	var hook string
	hook, d.activations = d.hook(t, "activate", "")
	ports, err := backendtest.FreePorts(5)
	if err != nil {
		t.Fatal(err)
	}
	d.start = func(node int) { d.nodes[node].cmd = d.nodes[node].start(t) }
	for i := range d.nodes {
		d.nodes[i] = d.node(t, i, addressOf(i), ports, hook)
		if i == 0 {
			if status, out, errs := command("cluster", "init", "-c", d.nodes[0].file); status != cli.StatusFine {
				t.Fatal(out, errs)
			}
		}
		d.start(i)
	}
	d.startHAProxy(t, ports)
	return d
}

// node writes the configuration of a node that listens at an address, as docs/frontends.md and docs/cluster.md say.
func (d *deployment) node(t *testing.T, i int, address string, ports []string, hook string) *upgradable {
	t.Helper()
	u := &upgradable{site: &site{dir: t.TempDir(), ca: d.ca}}
	u.address, u.implicit = net.JoinHostPort(address, ports[0]), net.JoinHostPort(address, ports[1])
	u.certificate(t, "mail", "localhost", address)
	u.put(t, "ca.crt", string(d.ca.CertPEM))
	u.put(t, "secret", strings.Repeat("s", 40)+"\n")
	u.put(t, "health.password", "secret\n")
	u.put(t, "token", "of-an-operator-of-it\n")
	u.put(t, "portico.yaml", fmt.Sprintf(`
listeners:
  - {address: %q, tls: starttls, proxy_protocol: true}
  - {address: %q, tls: implicit, proxy_protocol: true}
trusted_networks: ["127.0.0.1/32"]
tls: {certificates: [{cert: mail.crt, key: mail.key}]}
admin: {socket: admin.sock, address: %[3]q, tls: {cert: mail.crt, key: mail.key}, token_file: token}
mailbox_servers: {mbx1: {address: %[4]q, tls: none}, mbx2: {address: %[5]q, tls: none}}
databases:
  db1: {copies: [mbx1, mbx2], activate: %[6]s}
  db2: {copies: [mbx2, mbx1], activate: %[6]s}
routing: hash
settings: {login_type: plain_text_login}
health:
  mailboxes:
    db1: {user: health1, password_file: health.password}
    db2: {user: health2, password_file: health.password}
  self_test: {interval: 1s, timeout: 5s, failures: 2}
  recovery: {wait: 1s}
cluster:
  name: %[7]s
  advertise: https://%[3]s
  ca: ca.crt
  secret_file: secret
  etcd: {endpoints: ["http://%[8]s"]}
data_dir: data
loops: 1
`, u.address, u.implicit, net.JoinHostPort(address, ports[2]), d.dovecots[0].Plain, d.dovecots[1].Plain, hook,
		nameOf(i), d.etcd.Address))
	u.configured(t, filepath.Join(u.dir, "portico.yaml"))
	return u
}

// startHAProxy starts HAProxy as docs/frontends.md has it, with a third node.
func (d *deployment) startHAProxy(t *testing.T, ports []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "frontends.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```haproxy\n")
	block, _, _ = strings.Cut(block, "```")
	block = regexp.MustCompile(`(?m)^( *server mx)2 10\.0\.0\.6:(.*)$`).ReplaceAllString(block, "$0\n${1}3 10.0.0.7:$2")
	d.plain, d.implicit = "127.0.0.1:"+ports[3], "127.0.0.1:"+ports[4]
	d.put(t, "haproxy.cfg", strings.NewReplacer("bind :143", "bind "+d.plain, "bind :993", "bind "+d.implicit,
		"10.0.0.", "127.0.1.", ":143", ":"+ports[0], ":993", ":"+ports[1], "8143", ports[2]).Replace(block))
	log, err := os.Create(filepath.Join(d.dir, "haproxy.log"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Daemon(t, func(ctx context.Context) (*backendtest.Daemon, error) {
		haproxy := backendtest.NewProgram(d.plain, log, "haproxy", "-db", "-f", filepath.Join(d.dir, "haproxy.cfg"))
		return haproxy, haproxy.Start(ctx)
	})
}

// reconnecting is a client that signs in again when its session ends, as mail programs do.
type reconnecting struct {
	user string
	kind *longKind

	mu    sync.Mutex
	state connection
}

// connection is how such a client is, and how it was.
type connection struct {
	signedIn bool
	cuts     int           // sessions that have ended
	longest  time.Duration // from such an end to the next session
	err      error         // the latest
}

func (c *reconnecting) now() connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *reconnecting) change(to func(*connection)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to(&c.state)
}

// run is signed in until stop is closed.
func (c *reconnecting) run(stop <-chan struct{}, open func() (*longSession, error)) {
	var cut time.Time
	for {
		s, err := open()
		if err == nil {
			c.change(func(now *connection) {
				now.signedIn = true
				if !cut.IsZero() {
					now.longest = max(now.longest, time.Since(cut))
				}
			})
			if err = c.stay(s, stop); err == nil {
				return
			}
			cut = time.Now()
			c.change(func(now *connection) { now.signedIn, now.cuts = false, now.cuts+1 })
		}
		c.change(func(now *connection) { now.err = err })
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stay works in a session until it ends, or stop is closed.
func (c *reconnecting) stay(s *longSession, stop <-chan struct{}) error {
	defer s.conn.Close()
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(250 * time.Millisecond):
		}
		if err := c.kind.continues(s); err != nil {
			return err
		}
	}
}

// connect has clients sign in through HAProxy, half of them for IDLE over TLS, and waits until all are in.
func (d *deployment) connect(t *testing.T, clients int) {
	t.Helper()
	stop, trust := make(chan struct{}), d.ca.ClientConfig("localhost")
	kinds := []*longKind{&longKinds[0], &longKinds[3]} // NOOP without TLS, and IDLE with it
	var running sync.WaitGroup
	for n := range clients {
		c := &reconnecting{user: fmt.Sprintf("user%d", n), kind: kinds[n%2]}
		d.clients = append(d.clients, c)
		running.Go(func() {
			c.run(stop, func() (*longSession, error) { return c.kind.open(c.user, d.plain, d.implicit, trust) })
		})
	}
	t.Cleanup(func() {
		close(stop)
		running.Wait()
	})
	d.allSignedIn(t)
}

// allSignedIn waits until all clients are signed in.
func (d *deployment) allSignedIn(t *testing.T) {
	t.Helper()
	for _, c := range d.clients {
		testkit.Eventually(t, c.user+" is signed in", func() bool { return c.now().signedIn })
	}
}

// sessions are those of the clients, by user.
func (d *deployment) sessions(t *testing.T) map[string]admin.SessionState {
	t.Helper()
	var all []admin.SessionState
	text := d.nodes[0].run(t, cli.StatusFine, "session", "list", "-o", "json")
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&all); err != nil {
		t.Fatal(err)
	}
	by := make(map[string]admin.SessionState)
	for _, c := range d.clients {
		for _, s := range all {
			if s.User == c.user {
				by[s.User] = s
			}
		}
	}
	return by
}

// cutSince notes how the clients are, and returns what tells which sessions have ended since, as they were.
func (d *deployment) cutSince(t *testing.T) (cut func() []admin.SessionState) {
	t.Helper()
	before, cuts := d.sessions(t), make(map[string]int)
	for _, c := range d.clients {
		cuts[c.user] = c.now().cuts
	}
	return func() (all []admin.SessionState) {
		for _, c := range d.clients {
			if now := c.now(); now.cuts > cuts[c.user] {
				all = append(all, before[c.user])
			}
		}
		return all
	}
}

// cluster is the site as a node sees it.
func (u *upgradable) cluster(t *testing.T) (state admin.ClusterState) {
	t.Helper()
	_, out, errs := command("cluster", "status", "-o", "json", "--admin", u.socket)
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&state); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	return state
}

// whole waits until all nodes follow etcd and see each other.
func (d *deployment) whole(t *testing.T) {
	t.Helper()
	for _, u := range d.nodes {
		testkit.Eventually(t, "all nodes are present", func() bool {
			state := u.cluster(t)
			for _, node := range state.Nodes {
				if node.State != admin.NodePresent {
					return false
				}
			}
			return state.Etcd.Follows && len(state.Nodes) == len(d.nodes)
		})
	}
}
