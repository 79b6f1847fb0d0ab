package backend

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"portico/configs/store"
)

// movesIn names the folder in which a child process of TestMovesSurviveKill moves a database around.
const movesIn = "PORTICO_TEST_MOVES_IN"

// Killed at any point, the state is that of the last move that was told to be done, or of the one after it.
func TestMovesSurviveKill(t *testing.T) {
	if dir := os.Getenv(movesIn); dir != "" {
		moveAround(t, dir)
		return
	}
	dir := t.TempDir()
	at := circle[0]
	for round := range 20 {
		child := exec.Command(os.Args[0], "-test.run", "^TestMovesSurviveKill$")
		child.Env = append(os.Environ(), movesIn+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range round + 1 {
			if !lines.Scan() {
				t.Fatal("the child has ended by itself")
			}
			at = lines.Text()
		}
		time.AfterFunc(time.Duration(round*97)*time.Microsecond, func() { child.Process.Kill() })
		for lines.Scan() {
			at = lines.Text()
		}
		child.Wait()

		s, err := store.Open(dir, time.Now())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		got, _ := aroundTheCircle(t, s).Active("db1")
		if got != at && got != nextTo(at) {
			t.Errorf("round %d: active on %q, told was %q", round, got, at)
		}
		at = got
		s.Close()
	}
}

// circle is where the database goes, over and over.
var circle = []string{"mbx1", "mbx2", "mbx3", "mbx4", "mbx5"}

func nextTo(server string) string { return circle[(slices.Index(circle, server)+1)%len(circle)] }

func aroundTheCircle(t *testing.T, s store.Store) *ActiveManager {
	t.Helper()
	m, err := NewActiveManager(t.Context(), s, nil, nil)
	if err == nil {
		_, err = m.Configure(t.Context(), []DatabaseOptions{{Name: "db1", Copies: circle}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func moveAround(t *testing.T, dir string) {
	s, err := store.Open(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := aroundTheCircle(t, s)
	for {
		at, _ := m.Active("db1")
		to := nextTo(at)
		if err := m.Move(t.Context(), "db1", to, nobody); err != nil {
			t.Fatal(err)
		}
		fmt.Println(to)
	}
}
