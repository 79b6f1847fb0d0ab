package admin

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

func TestSocketServesTheSame(t *testing.T) {
	testkit.NoLeaks(t)
	path := filepath.Join(t.TempDir(), "made", "admin.sock")
	ln, err := ListenUnix(testkit.Context(t), path, "")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	config, _ := testkit.TLS(t)
	s := open(t, ln, Options{Access: Access{TLS: config, Tokens: allTokens}}, nil)
	for _, page := range []string{"/api/", "/metrics", "/livez", "/readyz"} {
		if status, _, _ := s.get(t, "http", "portico", page, ""); status != http.StatusOK {
			t.Errorf("%s: %d", page, status)
		}
	}
	if _, err := ListenUnix(testkit.Context(t), path, ""); !errors.Is(err, ErrAnswered) {
		t.Errorf("a second server: %v", err)
	}
	s.client.CloseIdleConnections()
	if err := s.server.Shutdown(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSocketLeftBehindIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	ln, err := ListenUnix(testkit.Context(t), path, "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	ln.Close()
}

func TestOtherFilesAreNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ln, err := ListenUnix(testkit.Context(t), path, ""); err == nil {
		ln.Close()
		t.Error("a file was taken for a socket")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("the file is gone: %q, %v", data, err)
	}
}

// A socket that its successor has replaced is the successor's to remove.
func TestCloseLeavesAnothersSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	first, err := ListenUnix(testkit.Context(t), path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := ListenUnix(testkit.Context(t), path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the second socket is gone: %v", err)
	}
}

// The socket of another program stays that program's, and is refused if every user may open it.
func TestSharedSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	file, err := other.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for mode, want := range map[fs.FileMode]string{0o600: "", 0o660: "", 0o666: "(mode 0666)"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		ln, err := ShareUnix(file, path)
		if err == nil {
			ln.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("mode %o: %v", mode, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}
