package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stat is a stat file with times in ticks.
func stat(pid, parent, user, system, endedUser, endedSystem int) string {
	return fmt.Sprintf("%d (a) b (c)) S %d 1 1 0 -1 0 0 0 0 0 %d %d %d %d 20 0 1 0 5\n", pid, parent, user, system,
		endedUser, endedSystem)
}

func TestAccountOfProcesses(t *testing.T) {
	proc := t.TempDir()
	lay(t, proc, map[string]string{
		"10/stat":         stat(10, 1, 100, 50, 20, 10),
		"10/smaps_rollup": "x rollup\nRss: 900 kB\nPss:  100 kB\nPss_Dirty: 7 kB\n",
		"11/stat":         stat(11, 10, 10, 5, 0, 0), "11/smaps_rollup": "Pss: 20 kB\n",
		"12/stat": stat(12, 11, 1, 1, 3, 0), "12/smaps_rollup": "Pss: 3 kB\n",
		"13/stat": stat(13, 1, 9999, 9999, 9999, 9999), "13/smaps_rollup": "Pss: 5000 kB\n",
	})
	a := &Account{PIDs: []int{10, 11}, system: accounting{proc: proc}} // 11 is within 10's family: counted once
	if err := a.begin(); err != nil {
		t.Fatal(err)
	}
	spent := a.read()
	want := cpuTime{whole: 2000 * time.Millisecond, user: 1340 * time.Millisecond, system: 660 * time.Millisecond}
	if spent != want || a.memory() != 123<<10 || a.before != 123<<10 || a.problem != nil {
		t.Errorf("spent %+v, memory %d, problem %v; want %+v", spent, a.memory(), a.problem, want)
	}
	if err := os.RemoveAll(filepath.Join(proc, "10")); err != nil {
		t.Fatal(err)
	}
	if a.read(); a.problem == nil || !strings.Contains(a.problem.Error(), "no process 10") {
		t.Errorf("a process that has ended: %v", a.problem)
	}
	if err := a.begin(); err == nil {
		t.Error("begins with a process that is not there")
	}
}

func TestAccountOfUnits(t *testing.T) {
	proc, cgroup := t.TempDir(), t.TempDir()
	lay(t, proc, map[string]string{"10/smaps_rollup": "Pss: 100 kB\n", "11/smaps_rollup": "Pss: 20 kB\n"})
	lay(t, cgroup, map[string]string{
		"system.slice/new.service/cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec " +
			"500\nnr_periods 0\n",
		"system.slice/new.service/cgroup.procs":     "10\n",
		"system.slice/new.service/sub/cgroup.procs": "11\n",
		"cpuacct/old.service/cpuacct.usage":         "7000\n", "cpuacct/old.service/cpuacct.usage_user": "5000\n",
		"cpuacct/old.service/cpuacct.usage_sys": "2000\n", "cpuacct/old.service/cgroup.procs": "11\n",
	})
	groups := func(unit string) (string, error) {
		return map[string]string{"new": "/system.slice/new.service", "old": "/old.service"}[unit], nil
	}
	a := &Account{Units: []string{"new", "old"}, system: accounting{proc: proc, cgroup: cgroup, unitGroup: groups}}
	if err := a.begin(); err != nil {
		t.Fatal(err)
	}
	want := cpuTime{whole: 1507 * time.Microsecond, user: 1005 * time.Microsecond, system: 502 * time.Microsecond}
	if spent := a.read(); spent != want || a.memory() != 120<<10 {
		t.Errorf("spent %+v, memory %d; want %+v", spent, a.memory(), want)
	}
}

// TestEndedChildrenCount has a process burn CPU in a child that ends, and wants it to be on the account.
func TestEndedChildrenCount(t *testing.T) {
	shell := exec.Command("sh", "-c",
		`sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; read wait`)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer shell.Wait() // ends with its input
	defer in.Close()
	a := &Account{PIDs: []int{shell.Process.Pid}}
	if err := a.begin(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if spent := a.read(); spent.whole < 50*time.Millisecond || a.problem != nil || a.before == 0 {
		t.Errorf("spent %+v, %v, memory %d", spent, a.problem, a.before)
	}
}

func TestBadStat(t *testing.T) {
	for _, text := range []string{"", "x", "1", "1 (a", "1 (a) S 1", "x (a) S 1 1 1 0 -1 0 0 0 0 0 1 1 1 1 20 0",
		"1 (a) S y 1 1 0 -1 0 0 0 0 0 z 1 1 1 20 0"} {
		if p, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, p)
		}
	}
}
