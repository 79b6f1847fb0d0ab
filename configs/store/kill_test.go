package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childDir names the folder in which a child process writes until it is killed.
const childDir = "PORTICO_STORE_TEST_DIR"

// childCopies names the copies that the child restores by turns instead.
const childCopies = "PORTICO_STORE_TEST_COPIES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if from := os.Getenv(childCopies); from != "" {
			restoreForEver(dir, strings.Split(from, ":"))
		}
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// TestKill kills a writing process again and again. What is on the disk is then
// the last value it saw stored or the one it was storing, and it is whole.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	for round := range 12 {
		acknowledged := killWriter(t, dir, random)
		s := open(t, dir)
		e, err := s.Get(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		n := binary.BigEndian.Uint64(e.Value)
		if n != acknowledged && n != acknowledged+1 {
			t.Errorf("round %d: %d is stored, %d was acknowledged", round, n, acknowledged)
		}
		if !bytes.Equal(e.Value, valueOf(n)) {
			t.Errorf("round %d: value %d is torn", round, n)
		}
		wantErr(t, s.Close(), nil)
	}
}

// killWriter runs a child, kills it at a random moment after its first write,
// and returns the last number it reported.
func killWriter(t *testing.T, dir string, random *rand.Rand, env ...string) (last uint64) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for reports := 0; ; reports++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(line, &last)
		if reports == 0 {
			time.AfterFunc(time.Duration(random.IntN(20_000))*time.Microsecond, func() { child.Process.Kill() })
		}
	}
	child.Wait() // reports the kill
	if last == 0 {
		t.Fatal("the child wrote nothing")
	}
	return last
}

// writeForEver counts up in one key and prints each number once it is stored.
func writeForEver(dir string) {
	s, err := Open(dir, noon)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	e, _ := s.Get(ctx, "n")
	n := uint64(0)
	if e.Value != nil {
		n = binary.BigEndian.Uint64(e.Value)
	}
	for {
		n++
		if e.Revision, err = s.CompareAndSet(ctx, "n", e.Revision, valueOf(n)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// TestKillRestore kills a process that restores two copies by turns, again and again. What is
// there then is one of the two, whole, and can be opened. Before every second round the identity
// is lost, so that the first restore begins with a store that nothing may be taken from.
func TestKillRestore(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(2, uint64(os.Getpid())))
	var copies []string
	for n := uint64(1); n <= 2; n++ {
		s := open(t, filepath.Join(t.TempDir(), "data"))
		if _, err := s.CompareAndSet(t.Context(), "n", 0, valueOf(n)); err != nil {
			t.Fatal(err)
		}
		c, err := s.Backup(noon, ByHand)
		wantErr(t, err, nil)
		wantErr(t, s.Close(), nil)
		copies = append(copies, c.Path)
	}
	for round := range 12 {
		if round%2 == 1 {
			wantErr(t, os.Remove(filepath.Join(dir, IdentityName)), nil)
		}
		killWriter(t, dir, random, childCopies+"="+strings.Join(copies, ":"))
		s := open(t, dir)
		e, err := s.Get(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		n := binary.BigEndian.Uint64(e.Value)
		if n < 1 || n > 2 || !bytes.Equal(e.Value, valueOf(n)) {
			t.Errorf("round %d: neither copy is there", round)
		}
		wantErr(t, s.Check(), nil)
		wantErr(t, s.Close(), nil)
	}
}

// restoreForEver restores copies by turns and prints the number of each restore once it is done.
func restoreForEver(dir string, copies []string) {
	for n := 1; ; n++ {
		if _, err := Restore(dir, copies[n%len(copies)], false, noon.Add(time.Duration(n)*time.Second),
			nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// valueOf fills some pages with n, so that half a value would show.
func valueOf(n uint64) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, n), 2000)
}
