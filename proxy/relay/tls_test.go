package relay

import (
	"bufio"
	"crypto/tls"
	"io"
	"os/exec"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

func TestBothVersionsOfTLS(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, r *rig) {
				r.tls = version
				tk := r.start()
				tk.client.drip("a NOOP\r\n")
				tk.server.hears("a NOOP\n")
				tk.server.drip("a OK\r\n")
				tk.client.hears("a OK\n")
				mail := flow{1 << 20, 6}
				tk.client.say(headed("b APPEND x {%+}\n", mail.size))
				sent := tk.client.sends(mail)
				tk.server.hears(headed("b APPEND x {%+}\n", mail.size))
				tk.server.gets(mail)
				if err := <-sent; err != nil {
					t.Error(err)
				}
				tk.client.halfClose()
				tk.server.hearsEnd()
				tk.server.say("b OK\n")
				tk.client.hears("b OK\n")
				tk.server.Close()
				tk.client.hearsEnd()
			})
		})
	}
}

// OpenSSL's client can ask for new keys: the answer is written by a read.
func TestNewKeysInTheMiddle(t *testing.T) {
	testkit.Need(t, "openssl")
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) { newKeysInTheMiddle(t, newRig(t, d, Options{}, ways{true, false})) })
	}
}

func newKeysInTheMiddle(t *testing.T, r *rig) {
	ln := testkit.Listen(t)
	cmd := exec.CommandContext(testkit.Context(t), "openssl", "s_client", "-connect", ln.Addr().String(),
		"-tls1_3", "-crlf")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tk := r.start(func(s *Session) {
		s.Client.Conn.Close()
		s.Client.Conn = NewConn(far)
		s.Client.TLS = tls.Server(s.Client.Conn, testTLS())
		if err := s.Client.TLS.Handshake(); err != nil {
			t.Fatal(err)
		}
	})
	out, notes := bufio.NewReader(stdout), bufio.NewReader(stderr)
	for range 3 {
		io.WriteString(in, "a NOOP\n")
		tk.server.hears("a NOOP\n")
		io.WriteString(in, "K\n") // update the keys of both sides
		readTo(t, notes, "KEYUPDATE")
		io.WriteString(in, "b NOOP\n")
		tk.server.hears("b NOOP\n")
		tk.server.say("a OK with new keys\nb OK\n")
		readTo(t, out, "b OK")
	}
	tk.server.Close()
}

// readTo reads up to a line that begins so.
func readTo(t *testing.T, r *bufio.Reader, prefix string) {
	t.Helper()
	for line := ""; !strings.HasPrefix(line, prefix); {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatalf("%s does not come: %v", prefix, err)
		}
	}
}
