package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
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
)

// streamModule is nginx's module for balancers, as Debian has it.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// Behind the balancers of the page, with their configurations as they are, Portico knows the clients' addresses.
func TestDocumentedFrontends(t *testing.T) {
	testkit.Need(t, "haproxy", "nginx")
	if _, err := os.Stat(streamModule); err != nil {
		testkit.Lack(t, err)
	}
	ports, err := backendtest.FreePorts(7)
	if err != nil {
		t.Fatal(err)
	}
	sink, _ := testkit.Sink(t)
	node := strings.NewReplacer("[::]:143", "127.0.0.1:"+ports[0], "[::]:993", "127.0.0.1:"+ports[1],
		"0.0.0.0:8143", "127.0.0.1:"+ports[2], "10.0.0.4/32", "127.0.0.1/32")
	file := writeExample(t, node.Replace(frontendBlock(t, "yaml"))+fmt.Sprintf(
		"data_dir: data\nmailbox_servers: {mbx1: {address: %q, tls: none}}\ndatabases: {db1: {copies: [mbx1]}}\n", sink))
	socketless, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(socketless), "admin:\n", "admin:\n  socket: \"\"\n", 1)),
		0o600); err != nil {
		t.Fatal(err)
	}
	_, log := serveUntilEnd(t, file)

	const absent = `(?m)^ *server (mx2 )?10\.0\.0\.6.*\n` // the second node
	dir := t.TempDir()
	for i, name := range []string{"haproxy", "nginx"} {
		imap, imaps, client := ports[3+2*i], ports[4+2*i], fmt.Sprintf("127.0.0.%d", 7+i)
		t.Run(name, func(t *testing.T) {
			text := regexp.MustCompile(absent).ReplaceAllString(frontendBlock(t, name), "")
			text = strings.NewReplacer("bind :143", "bind 127.0.0.1:"+imap, "bind :993", "bind 127.0.0.1:"+imaps,
				"listen 143", "listen 127.0.0.1:"+imap, "listen 993", "listen 127.0.0.1:"+imaps,
				"10.0.0.5:143", "127.0.0.1:"+ports[0], "10.0.0.5:993", "127.0.0.1:"+ports[1],
				"8143", ports[2]).Replace(text)
			stats := filepath.Join(dir, "stats")
			args := []string{"-db", "-f"}
			if name == "haproxy" {
				text = "global\n    stats socket " + stats + "\n" + text
			} else {
				text = "load_module " + streamModule + "; daemon off; pid nginx.pid; error_log stderr;\nevents {}\n" +
					text
				args = []string{"-e", "stderr", "-p", dir, "-c"}
			}
			file := filepath.Join(dir, name+".conf")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			startFrontend(t, name, append(args, file)...)
			testkit.Eventually(t, "a client signs in through "+name, func() bool {
				return signInThrough(client, "alice", "127.0.0.1:"+imaps) == nil
			})
			testkit.Eventually(t, "the log has the client's address", func() bool {
				return strings.Contains(log.String(), `"remote":"`+client+`:`)
			})
			if name == "haproxy" {
				testkit.Eventually(t, "both checks of /readyz succeed", func() bool {
					return strings.Count(answerOf(stats, "show stat\n"), "L7OK,200") == 2
				})
			}
		})
	}
}

// frontendBlock returns the block of the page in a language.
func frontendBlock(t *testing.T, language string) string {
	t.Helper()
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").
		FindStringSubmatch(readPage(t, "docs/frontends.md"))
	if found == nil {
		t.Fatalf("no block for %s", language)
	}
	return found[1]
}

// startFrontend runs a balancer until the test ends.
func startFrontend(t *testing.T, name string, args ...string) {
	t.Helper()
	var log testkit.Log
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // a shell's background processes ignore interrupts
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, &log)
		}
	})
}

// answerOf returns what HAProxy answers to a command.
func answerOf(socket, command string) string {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	io.WriteString(conn, command)
	answer, _ := io.ReadAll(conn) // HAProxy closes behind it
	return string(answer)
}

// signInThrough signs a user in over TLS, from an address of loopback.
func signInThrough(from, user, to string) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: testkit.Patience}
	conn, err := tls.DialWithDialer(&dialer, "tcp", to, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	fmt.Fprintf(conn, "a LOGIN %s secret\r\nb LOGOUT\r\n", user)
	var answer [4096]byte
	var said string
	for !strings.Contains(said, "a OK") {
		n, err := conn.Read(answer[:])
		if err != nil {
			return fmt.Errorf("%w after %q", err, said)
		}
		said += string(answer[:n])
	}
	return nil
}
