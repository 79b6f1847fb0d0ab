//go:build unix

package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
	"portico/health/admin/client"
)

// upgradable is a Portico in processes of its own.
type upgradable struct {
	*site
	address  string // of its listener without TLS
	implicit string // of the one with TLS
	socket   string
	cmd      *exec.Cmd
	file     string     // its configuration
	log      string     // a file
	sockets  []*os.File // that the next process gets from its service manager
}

func newUpgradable(t *testing.T, more string, environment ...string) *upgradable {
	t.Helper()
	u := &upgradable{site: newSite(t)}
	u.serveMail(t)
	first := u.server
	u.serveMail(t)
	u.configure(t, more)
	u.replace(t, "mailbox_servers: {", fmt.Sprintf("mailbox_servers: {mbx2: {address: %q, tls: none}, ", first))
	u.replace(t, "{db1: {copies: [mbx1]}}", "{db1: {copies: [mbx1, mbx2]}}")
	u.cmd = u.start(t, environment...)
	return u
}

// configure writes the configuration, with one mailbox server.
func (u *upgradable) configure(t *testing.T, more string) {
	t.Helper()
	ports, err := backendtest.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	u.address, u.implicit = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	u.configured(t, u.writeWithout(t, "listeners", fmt.Sprintf(
		"listeners: [{address: %q, tls: none}, {address: %q, tls: implicit}]\n", u.address, u.implicit)+more))
}

// configured is configure for a configuration that is there.
func (u *upgradable) configured(t *testing.T, file string) {
	t.Helper()
	u.file = file
	u.socket = filepath.Join(u.dir, "admin.sock")
	u.log = filepath.Join(u.dir, "log")
	t.Cleanup(func() {
		all, _ := u.anyGenerations()
		for _, g := range all {
			syscall.Kill(g.PID, syscall.SIGKILL)
		}
		if t.Failed() {
			t.Logf("log:\n%s", u.logged(t))
		}
	})
}

// start starts a process, and returns when it is ready. It is killed with the test.
func (u *upgradable) start(t *testing.T, environment ...string) *exec.Cmd {
	t.Helper()
	log, err := os.OpenFile(u.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := testkit.Program(t, "serve", "--config", u.file)
	cmd = &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env} // it may live longer than a test usually does
	cmd.Stderr = log                                              // a pipe would be open as long as any process is
	cmd.Env = append(cmd.Env, environment...)
	if cmd.ExtraFiles = u.sockets; len(u.sockets) > 0 {
		testkit.Need(t, "sh")
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(u.sockets)))
		cmd.Args = append([]string{"sh", "-c", `export LISTEN_PID=$$; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}
	ready := strings.Count(u.logged(t), readyLine) + 1
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	testkit.Eventually(t, "ready", func() bool { return strings.Count(u.logged(t), readyLine) == ready })
	return cmd
}

// readyLine is in the log when a process takes clients.
const readyLine = `"message":"ready"`

// logged is what all processes have logged so far.
func (u *upgradable) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(u.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a command, which has to end with a status.
func (u *upgradable) run(t *testing.T, status int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := cli.Run(append(args, "--admin", u.socket), &out, &out, program); got != status {
		t.Fatalf("%v: status %d, want %d: %s", args, got, status, &out)
	}
	return out.String()
}

func (u *upgradable) generations(t *testing.T) []admin.Generation {
	t.Helper()
	all, err := u.anyGenerations()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// anyGenerations returns none if no process answers.
func (u *upgradable) anyGenerations() (all []admin.Generation, err error) {
	var out bytes.Buffer
	if status := cli.Run([]string{"service", "generations", "--output", "json", "--admin", u.socket}, &out, &out,
		program); status != 0 {
		return nil, fmt.Errorf("generations: status %d: %s", status, &out)
	}
	return all, json.Unmarshal(out.Bytes(), &all)
}

// signedIn returns a client that has signed in.
func (u *upgradable) signedIn(t *testing.T) *testkit.Conn {
	t.Helper()
	c := testkit.Dial(t, u.address, nil)
	c.Expect("* OK *")
	c.Send("a LOGIN alice secret")
	c.Expect("a OK *")
	return c
}

// An upgrade leaves sessions with the process before, which ends with them. The new one takes clients, shows the old
// one's sessions, counts them and ends them.
func TestUpgrade(t *testing.T) {
	u := newUpgradable(t, "settings: {max_connections_per_user: 2, login_type: plain_text_login}\n")
	before := u.generations(t)
	if len(before) != 1 || before[0].PID != u.cmd.Process.Pid || !before[0].Serving {
		t.Fatalf("before: %+v", before)
	}
	first := u.signedIn(t)
	u.run(t, 0, "service", "upgrade")
	after := u.generations(t)
	if len(after) != 2 || after[1].PID != before[0].PID || after[0].PID == before[0].PID || !after[0].Serving ||
		after[1].Serving {
		t.Fatalf("after: %+v", after)
	}
	first.Send("b NOOP")
	first.Expect("b OK *")
	second := u.signedIn(t)
	third := testkit.Dial(t, u.address, nil)
	third.Expect("* OK *")
	third.Send("a LOGIN alice secret")
	third.Expect("a NO *")
	listed := u.run(t, 0, "session", "list")
	if strings.Count(listed, "alice") != 2 {
		t.Errorf("sessions:\n%s", listed)
	}
	first.Send("c LOGOUT")
	first.Expect("* BYE *")
	first.Expect("c OK *")
	first.ExpectEOF()
	testkit.Eventually(t, "the old process has ended", func() bool { return len(u.generations(t)) == 1 })
	if err := u.cmd.Wait(); err != nil {
		t.Errorf("the old process: %v", err)
	}
	second.Send("b NOOP")
	second.Expect("b OK *")
	const line = `portico_command_results_total{command="NOOP",result="ok",server="mbx1"} `
	testkit.Eventually(t, "the commands of both sessions", func() bool {
		_, page, err := client.New(u.socket, client.Credentials{}).Text(t.Context(), "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(page, line+"2\n")
	})
}

// A process without sessions ends at once when another one has taken its place, and leaves that one alone.
func TestUpgradeOfAnIdleNode(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	for range 4 {
		u.run(t, 0, "service", "upgrade")
		u.run(t, 0, "service", "generations")
	}
	testkit.Eventually(t, "the others have ended", func() bool { return len(u.generations(t)) == 1 })
	u.signedIn(t).Command("b", "LOGOUT")
}

// A process whose configuration can be read but that cannot sign anybody in does not take over.
func TestUpgradeToWhatCannotSignIn(t *testing.T) {
	const unusable = "health: {mailboxes: {db1: {user: alice, password_file: health.password}}}\n" +
		"directory: {sources: [{http: {urls: [\"http://127.0.0.1:1/\"]}}]}\n"
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	u.put(t, "health.password", "secret")
	before := u.signedIn(t)
	u.replace(t, "databases:", unusable+"databases:")
	if why := u.run(t, 2, "service", "upgrade"); !strings.Contains(why, "ImapProxyTestProbe") {
		t.Errorf("refused with %q", why)
	}
	if now := u.generations(t); len(now) != 1 || now[0].PID != u.cmd.Process.Pid || !now[0].Serving {
		t.Errorf("after: %+v", now)
	}
	before.Command("b", "NOOP")
	u.signedIn(t).Command("b", "LOGOUT")
}

// Another data_dir has another store, so it needs a restart.
func TestUpgradeToAnotherDataDir(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	u.replace(t, "data_dir: data", "data_dir: data2")
	if why := u.run(t, 2, "service", "upgrade"); !strings.Contains(why, "data_dir is") {
		t.Errorf("refused with %q", why)
	}
	if _, err := os.Stat(filepath.Join(u.dir, "data2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the other folder: %v", err)
	}
}

// The sessions of an earlier process that hangs, and whose socket somebody has removed, count on with the next process
// too. Commands say that they are missing. When it goes on, they are there again.
func TestUpgradeBesideASilentProcess(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login, max_connections_per_user: 2}\n")
	session := u.signedIn(t)
	u.run(t, 0, "service", "upgrade")
	earlier := u.cmd.Process
	earlier.Signal(syscall.SIGSTOP)
	if err := os.RemoveAll(filepath.Join(u.dir, "data", generationsFolder)); err != nil {
		t.Fatal(err)
	}
	u.run(t, 0, "service", "upgrade")
	u.signedIn(t)
	third := testkit.Dial(t, u.address, nil)
	third.Expect("* OK *")
	third.Send("a LOGIN alice secret")
	third.Expect("a NO *")
	process := fmt.Sprintf("process %d", earlier.Pid)
	testkit.Eventually(t, "it counts as silent", func() bool {
		return strings.Contains(u.run(t, 0, "service", "generations"), "has not answered")
	})
	if kicked := u.run(t, 2, "user", "kick", "alice"); !strings.Contains(kicked, process) {
		t.Errorf("kick: %s", kicked)
	}
	for _, command := range [][]string{{"session", "list"}, {"session", "slow"}, {"user", "where", "alice"}} {
		if said := u.run(t, 1, command...); !strings.Contains(said, process) {
			t.Errorf("%v: %s", command, said)
		}
	}
	earlier.Signal(syscall.SIGCONT)
	testkit.Eventually(t, "it answers", func() bool {
		return !strings.Contains(u.run(t, 0, "service", "generations"), "has not answered")
	})
	if listed := u.run(t, 0, "session", "list"); strings.Count(listed, "alice") != 1 {
		t.Errorf("sessions:\n%s", listed)
	}
	session.Command("b", "LOGOUT")
	testkit.Eventually(t, "it has ended", func() bool {
		return !strings.Contains(u.run(t, 0, "service", "generations"), strconv.Itoa(earlier.Pid))
	})
}

// A process that is killed leaves the earlier one with its sessions, and the next start finds it.
func TestKilledBesideAnEarlierProcess(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login, max_connections_per_user: 2}\n")
	session := u.signedIn(t)
	u.run(t, 0, "service", "upgrade")
	syscall.Kill(u.generations(t)[0].PID, syscall.SIGKILL)
	session.Command("b", "NOOP")
	next := u.start(t)
	found := u.generations(t)
	if len(found) != 2 || found[0].PID != next.Process.Pid || found[1].PID != u.cmd.Process.Pid {
		t.Fatalf("found: %+v", found)
	}
	u.signedIn(t)
	third := testkit.Dial(t, u.address, nil)
	third.Expect("* OK *")
	third.Send("a LOGIN alice secret")
	third.Expect("a NO *") // the earlier one's session counts
	u.run(t, 0, "user", "kick", "alice")
	session.Expect("* BYE *")
	session.ExpectEOF()
	if err := u.cmd.Wait(); err != nil {
		t.Error(err)
	}
	send(t, next.Process, syscall.SIGTERM)
	if err := next.Wait(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(u.dir, "data", generationsFolder, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Sessions of an earlier process end before a database moves, and nobody is signed in to both copies.
func TestMoveEndsEarlierSessions(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	session := u.signedIn(t)
	u.run(t, 0, "service", "upgrade")
	u.run(t, 0, "database", "move", "db1", "mbx2")
	session.Expect("* BYE *")
	session.ExpectEOF()
	if err := u.cmd.Wait(); err != nil {
		t.Error(err)
	}
	u.signedIn(t)
	testkit.Eventually(t, "the session is at the other copy", func() bool {
		return strings.Contains(u.run(t, 0, "session", "list"), "mbx2")
	})
}

// A signal to the process that takes clients ends the earlier ones too.
func TestStopEndsEarlierProcesses(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	session := u.signedIn(t)
	u.run(t, 0, "service", "upgrade")
	syscall.Kill(u.generations(t)[0].PID, syscall.SIGTERM)
	session.Expect("* BYE *")
	session.ExpectEOF()
	if err := u.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Rules of the protocol log that change after an upgrade hold for earlier sessions too, and their rows are in the
// files that the present process writes.
func TestProtocolLogAfterAnUpgrade(t *testing.T) {
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n")
	session := u.signedIn(t)
	session.Command("b", "NOOP")
	u.run(t, 0, "service", "upgrade")
	u.run(t, 0, "log", "on", "--user", "alice")
	rows := func() int {
		session.Command("c", "NOOP")
		return strings.Count(strings.ToLower(u.run(t, 0, "log", "show", "--user", "alice", "--output", "csv")), "noop")
	}
	testkit.Eventually(t, "rows of the session", func() bool { return rows() > 0 })
	u.run(t, 0, "log", "off", "--all")
	testkit.Eventually(t, "no row more", func() bool {
		before := rows()
		return rows() == before
	})
	if files, err := filepath.Glob(filepath.Join(u.dir, "data", "protocol-log", "*")); len(files) != 1 || err != nil {
		t.Errorf("files: %v, %v", files, err)
	}
}

// systemd learns which process is the main one.
func TestUpgradeNotifies(t *testing.T) {
	manager, err := net.ListenUnixgram("unixgram",
		&net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(testkit.Patience))
	heard := func() string {
		buf := make([]byte, 4096)
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	u := newUpgradable(t, "settings: {login_type: plain_text_login}\n", "NOTIFY_SOCKET="+manager.LocalAddr().String())
	u.signedIn(t)
	if got := heard(); got != "READY=1" {
		t.Errorf("told %q", got)
	}
	u.run(t, 0, "service", "upgrade")
	next := u.generations(t)[0].PID
	told := []string{heard(), heard()}
	slices.Sort(told) // two processes
	if want := []string{fmt.Sprintf("MAINPID=%d", next), "READY=1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
