package main

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

var imageFolder = flag.String("image", "", "`folder` of the layout to unpack and run; needs root")

// container is an unpacked image whose processes have it as their root, and the image's user.
type container struct{ root string }

// unpack unpacks a layout's image for this machine.
func unpack(t *testing.T, folder string) *container {
	t.Helper()
	all, _ := platforms(t, folder)
	image := all[runtime.GOARCH]
	if image == nil {
		t.Fatalf("no image for %s", runtime.GOARCH)
	}
	c := &container{t.TempDir()}
	for dir := c.root; dir != "/"; dir = filepath.Dir(dir) { // the image's user must get there
		if strings.HasPrefix(dir, os.TempDir()+"/") {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	content := mutate.Extract(image)
	defer content.Close()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return c
		} else if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(c.root, header.Name)
		err = os.MkdirAll(filepath.Dir(path), 0o755) // the last layer comes first
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else if err == nil {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, data, 0o644)
			}
		}
		err = errors.Join(err, os.Chown(path, header.Uid, header.Gid),
			os.Chmod(path, header.FileInfo().Mode()))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// put writes a file into /etc/portico, as a mounted folder has it.
func (c *container) put(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(c.root, "etc/portico", name)
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o440), os.Chown(path, user, user)); err != nil {
		t.Fatal(err)
	}
}

// command returns the image's program. As in a container it is process 1 if first, and has none of root's powers.
func (c *container) command(first bool, args ...string) *exec.Cmd {
	cmd := exec.Command("/"+programPath, args...)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/bin"}, dataFolder
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Pdeathsig: syscall.SIGKILL,
		Credential: &syscall.Credential{Uid: user, Gid: user}}
	if first {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	return cmd
}

// start starts a command that the test ends.
func (c *container) start(t *testing.T, args ...string) (cmd *exec.Cmd, log *bytes.Buffer) {
	t.Helper()
	cmd, log = c.command(true, args...), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("portico %s:\n%s", strings.Join(args, " "), log)
		}
	})
	return cmd, log
}

// asks runs a command beside Portico, as docker exec does, until it succeeds.
func (c *container) asks(t *testing.T, want string, args ...string) {
	t.Helper()
	var out []byte
	var err error
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if out, err = c.command(false, args...).CombinedOutput(); err == nil && strings.Contains(string(out), want) {
			return
		}
	}
	t.Errorf("portico %s: %v\n%s", strings.Join(args, " "), err, out)
}

// freePort returns a port of loopback that nobody uses.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// pair writes a certificate for localhost and its key.
func (c *container) pair(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true,
		BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.put(t, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	c.put(t, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// The image runs: it signs a user in, is healthy, answers the kubelet, and stops in order at SIGTERM as process 1. The
// other container is the image too, as a mailbox server that takes every password.
func TestRunImage(t *testing.T) {
	if *imageFolder == "" {
		t.Skip("make test-image runs this test")
	}
	c := unpack(t, *imageFolder)
	server, imap, page := freePort(t), freePort(t), freePort(t)
	c.pair(t)
	c.put(t, "health.password", "secret\n")
	c.put(t, "tokens", "")
	c.put(t, "portico.yaml", fmt.Sprintf(`
listeners: [{address: "127.0.0.1:%s", tls: implicit}]
tls: {certificates: [{cert: tls.crt, key: tls.key}]}
admin: {address: "0.0.0.0:%s", tls: {cert: tls.crt, key: tls.key}, tokens_file: tokens}
mailbox_servers: {mbx1: {address: "127.0.0.1:%s", tls: none}}
databases: {db1: {copies: [mbx1]}}
data_dir: /var/lib/portico
health:
  self_test: {interval: 1s}
  proxy_test: {interval: 1s}
`, imap, page, server))
	c.start(t, "bench", "sink", "--listen", "127.0.0.1:"+server)
	portico, _ := c.start(t, "serve", "--config", configFile)

	c.asks(t, "ready", "service", "status")
	c.asks(t, "", "test", "imap", "127.0.0.1:"+imap, "--server-name", "localhost", "--ca", "/etc/portico/tls.crt",
		"--user", "alice", "--password-file", "/etc/portico/health.password", "--light-mode")
	c.asks(t, "Healthy", containerConfig(stamp{}).Healthcheck.Test[2:]...)
	kubelet := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 401} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+page+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "10.244.1.7:8143"
		if path == "/metrics" {
			request.Host = ""
		}
		answer, err := kubelet.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}

	if err := portico.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := portico.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
