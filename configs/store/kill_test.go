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
	"testing"
	"time"
)

// childDir names the folder in which a child process writes until it is killed.
const childDir = "PORTICO_STORE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
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
func killWriter(t *testing.T, dir string, random *rand.Rand) (last uint64) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
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
	s, err := Open(dir)
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

// valueOf fills some pages with n, so that half a value would show.
func valueOf(n uint64) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, n), 2000)
}
