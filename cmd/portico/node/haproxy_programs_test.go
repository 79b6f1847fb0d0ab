//go:build unix

package node

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// mailProgram runs a mail program of somebody else, and returns what it printed. It must end with success.
func mailProgram(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(testkit.Context(t), name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, errs.String())
	}
	return string(out)
}

// programs has mail programs sign in again and again for some time, one after the other, at least once each.
func (d *deployment) programs(t *testing.T, during time.Duration) {
	t.Helper()
	all := []struct {
		name  string
		round func(t *testing.T, dir string, round int)
	}{{"curl", d.curl}, {"mbsync", d.mbsync}}
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			testkit.Need(t, p.name)
			dir, began, rounds := t.TempDir(), time.Now(), 1
			for p.round(t, dir, rounds); time.Since(began) < during/time.Duration(len(all)); rounds++ {
				time.Sleep(time.Second)
				p.round(t, dir, rounds+1)
			}
			t.Logf("%d rounds", rounds)
		})
	}
}

// curl stores a message by STARTTLS, and fetches it in another session.
func (d *deployment) curl(t *testing.T, dir string, round int) {
	_, port, _ := net.SplitHostPort(d.plain)
	at := "imap://localhost:" + port + "/INBOX"
	as := []string{"-sS", "--ssl-reqd", "--cacert", d.caFile(), "-u", "user990:secret"}
	file := filepath.Join(dir, "message")
	message := fmt.Sprintf("Subject: curl %d at %v\r\n\r\nText\r\n", round, time.Now().UnixNano())
	if err := os.WriteFile(file, []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	mailProgram(t, "curl", append(as, "-T", file, at)...)
	if got := mailProgram(t, "curl", append(as, at+";MAILINDEX=*")...); got != message {
		t.Fatalf("fetched %q, stored %q", got, message)
	}
}

// mbsync carries a message from one computer to the server, and from there to another.
func (d *deployment) mbsync(t *testing.T, dir string, round int) {
	sync := func(computer string) (inbox string) {
		_, port, _ := net.SplitHostPort(d.implicit)
		d.put(t, computer+".mbsyncrc", fmt.Sprintf("FSync no\nIMAPStore there\nHost localhost\nPort %s\n"+
			"User user991\nPass secret\nSSLType IMAPS\nAuthMechs LOGIN\nCertificateFile %s\n\n"+
			"MaildirStore here\nPath %[3]s/\nInbox %[3]s/%[4]s\n\n"+
			"Channel all\nFar :there:\nNear :here:\nPatterns INBOX\nCreate Both\nSyncState %[3]s/%[4]s.\n",
			port, d.caFile(), dir, computer))
		mailProgram(t, "mbsync", "-c", filepath.Join(d.dir, computer+".mbsyncrc"), "all")
		return filepath.Join(dir, computer)
	}
	messages := func(inbox string) int {
		mail, _ := filepath.Glob(filepath.Join(inbox, "[cn][ue][rw]", "*"))
		return len(mail)
	}
	here := sync("here")
	before := messages(here)
	if err := os.WriteFile(filepath.Join(here, "new", fmt.Sprintf("%d.here.mail", round)),
		fmt.Appendf(nil, "Subject: mbsync %d\n\nText\n", round), 0o600); err != nil {
		t.Fatal(err)
	}
	sync("here")
	if there := messages(sync("there")); there != before+1 {
		t.Fatalf("%d messages, then one more: %d there", before, there)
	}
}

// imaplib signs in by Python's imaplib, and works in that session until end is called, which fails the test unless all
// has gone well.
func (d *deployment) imaplib(t *testing.T) (end func(*testing.T)) {
	t.Helper()
	end = func(*testing.T) {}
	_, port, _ := net.SplitHostPort(d.implicit)
	within := t.Context()
	t.Run("imaplib", func(t *testing.T) {
		testkit.Need(t, "python3")
		cmd := exec.CommandContext(within, "python3", "testdata/imaplib_stays.py", port, d.caFile(), "user992")
		errs := &testkit.Log{}
		cmd.Stderr = errs
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(pipe)
		if line, _ := out.ReadString('\n'); line != "signed in\n" {
			t.Fatalf("%q: %s", line, errs)
		}
		end = func(t *testing.T) {
			t.Helper()
			in.Close()
			line, _ := out.ReadString('\n')
			if err := cmd.Wait(); err != nil {
				t.Errorf("imaplib: %v: %s", err, errs)
			}
			t.Logf("imaplib: %s rounds in one session", strings.TrimSpace(line))
		}
	})
	return end
}

// bench runs portico bench through HAProxy for as long as etcd is away. wait returns when it is over, and fails the
// test unless all operations have succeeded.
func (d *deployment) bench(t *testing.T, args ...string) (wait func()) {
	t.Helper()
	d.put(t, "password", "secret\n")
	short := testkit.Program(t, append([]string{"bench", "run", "--target", d.implicit, "--tls", "implicit",
		"--insecure", "--users", "user%d:100-999", "--password-file", filepath.Join(d.dir, "password"), "--duration",
		siteAway.String()}, args...)...)
	cmd, out := &exec.Cmd{Path: short.Path, Args: short.Args, Env: short.Env}, &testkit.Log{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return func() {
		if err := cmd.Wait(); err != nil {
			t.Errorf("portico bench %v: %v", args, err)
		}
		t.Logf("portico bench:\n%s", out)
	}
}

// caFile has the certificate by which the front end is known.
func (d *deployment) caFile() string { return filepath.Join(d.nodes[0].dir, "ca.crt") }
