package cli

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// If the disk is full, a file of tokens stays as it was.
func TestAddTokenToFullDisk(t *testing.T) {
	const before = "# tokens\n"
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit then fails as on a full disk, after a part
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(len(before)) + 8,
		Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	if err := appendWhole(file, "ann change sha256:0f0f\n"); err == nil {
		t.Error("no error")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != before {
		t.Errorf("%q, %v", text, err)
	}
}
