package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

// program runs a client program and returns what it printed. It must end with success.
func program(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(testkit.Context(t), name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, clip(out.String()), clip(errs.String()))
	}
	return out.String()
}

// byEachWay runs a test with a front end and a new user's mailbox of three messages, for each way in.
func byEachWay(t *testing.T, name string, test func(t *testing.T, f *frontEnd, w way, user string)) {
	testkit.Need(t, name)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			compressing.need(t)
			f := startFrontEnd(t, options{servers: compressing.behind(backend.TLSStartTLS)})
			test(t, f, w, compressing.user(t, 3))
			f.gone()
			if n := f.metric("portico_command_results_total", "command", "LOGOUT", "server", "mbx1", "result",
				"ok"); n == 0 {
				t.Error("no session logged out")
			}
		})
	}
}

func TestCurl(t *testing.T) {
	testkit.Need(t, "curl")
	if version := program(t, "curl", "--version"); !strings.Contains(version, " imaps ") {
		testkit.Lack(t, errors.New("curl knows no IMAP"))
	}
	byEachWay(t, "curl", func(t *testing.T, f *frontEnd, w way, user string) {
		base := []string{"--silent", "--show-error", "--cacert", f.caFile(), "--user", user + ":" + password}
		scheme := "imap://"
		switch w.tls {
		case proxy.TLSImplicit:
			scheme = "imaps://"
		case proxy.TLSStartTLS:
			base = append(base, "--ssl-reqd")
		}
		at := scheme + w.address(f)
		curl := func(args ...string) string { return program(t, "curl", append(base, args...)...) }

		if list := curl(at + "/"); !strings.Contains(list, "INBOX") {
			t.Errorf("list: %q", list)
		}
		if mail := curl(at + "/INBOX;MAILINDEX=2"); mail != string(testMessage(1)) {
			t.Errorf("fetched %q", mail)
		}
		if found := curl(at+"/INBOX", "--request", `SEARCH SUBJECT "number 2"`); !strings.Contains(found,
			"* SEARCH 3\r\n") {
			t.Errorf("search: %q", found)
		}
		file := filepath.Join(t.TempDir(), "mail")
		big := bytes.Repeat([]byte("Subject: a big one by curl\r\n"), 100_000)
		must(t, os.WriteFile(file, big, 0o600))
		curl("--upload-file", file, at+"/INBOX")
		if mail := curl(at + "/INBOX;MAILINDEX=4"); mail != string(big) {
			t.Errorf("%d bytes appended came back as %d others", len(big), len(mail))
		}
	})
}

func TestImaplib(t *testing.T) {
	byEachWay(t, "python3", func(t *testing.T, f *frontEnd, w way, user string) {
		_, port, _ := net.SplitHostPort(w.address(f))
		out := program(t, "python3", "testdata/imaplib_session.py", w.name, port, f.caFile(), user, password)
		if out != "all done\n" {
			t.Errorf("it said %q", out)
		}
	})
}

// mbsync pipelines whatever it can. Mail goes both ways, and what is removed there is removed here.
func TestMbsync(t *testing.T) {
	byEachWay(t, "mbsync", func(t *testing.T, f *frontEnd, w way, user string) {
		for n := range 60 {
			compressing.deliver(t, user, 100+n)
		}
		dir := t.TempDir()
		config := filepath.Join(dir, "mbsyncrc")
		must(t, os.WriteFile(config, []byte(mbsyncConfig(f, w, user, dir)), 0o600))
		program(t, "mbsync", "--config", config, "all")
		if n := countFiles(t, dir); n != 63 {
			t.Fatalf("%d messages came", n)
		}
		must(t, os.WriteFile(filepath.Join(dir, "INBOX", "new", "1.local.mail"),
			[]byte("Subject: from here\n\nText\n"), 0o600))
		c := f.signIn(w, user)
		c.Command("a", "SELECT INBOX")
		c.Command("b", `STORE 1:10 +FLAGS.SILENT (\Deleted)`)
		c.Command("c", "EXPUNGE")
		program(t, "mbsync", "--config", config, "all")
		if n := countFiles(t, dir); n != 54 {
			t.Errorf("%d messages here behind the second run", n)
		}
		c.Command("n", "NOOP")
		if lines := c.Command("d", "SEARCH SUBJECT {9+}\r\nfrom here"); !strings.HasPrefix(lines[len(lines)-2],
			"* SEARCH 54") {
			t.Errorf("there: %q", lines)
		}
		c.Command("e", "LOGOUT")
		c.Close()
	})
}

func mbsyncConfig(f *frontEnd, w way, user, dir string) string {
	kind := map[proxy.TLSMode]string{proxy.TLSNone: "None", proxy.TLSStartTLS: "STARTTLS",
		proxy.TLSImplicit: "IMAPS"}[w.tls]
	_, port, _ := net.SplitHostPort(w.address(f))
	return mbsyncStores(port, kind, f.caFile(), user, dir)
}

// mbsyncStores is a configuration of a server's INBOX there and a folder here.
func mbsyncStores(port, kind, caFile, user, dir string) string {
	if caFile != "" {
		kind += "\nCertificateFile " + caFile
	}
	return fmt.Sprintf(`FSync no

IMAPStore there
Host localhost
Port %s
User %s
Pass %s
SSLType %s
AuthMechs LOGIN

MaildirStore here
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns INBOX
Create Both
Expunge Both
SyncState *
`, port, user, password, kind, dir, dir)
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	mail, err := filepath.Glob(filepath.Join(dir, "INBOX", "[cn][ue][rw]", "*"))
	must(t, err)
	return len(mail)
}
