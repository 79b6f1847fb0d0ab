package bench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// cpuTime is the CPU time of processes. The total is exact; the split into user and system time is as exact as the
// system's records.
type cpuTime struct{ whole, user, system time.Duration }

func (c cpuTime) plus(o cpuTime) cpuTime {
	return cpuTime{c.whole + o.whole, c.user + o.user, c.system + o.system}
}

func (c cpuTime) minus(o cpuTime) cpuTime {
	return cpuTime{c.whole - o.whole, c.user - o.user, c.system - o.system}
}

// Account names the local processes under load, to measure their CPU time and proportional memory (Pss). Their CPU
// time includes that of their children, also of those that have ended. A nil Account measures nothing.
type Account struct {
	PIDs  []int    // with all their descendants
	Units []string // of systemd, with all processes in their control groups

	system  accounting
	before  int64 // bytes before the first connection
	problem error // the first error during the run: the account is incomplete
}

// accounting holds the paths of the system's records. It is a field of Account so that tests can write their own.
type accounting struct {
	proc, cgroup string                            // where these file systems are
	unitGroup    func(unit string) (string, error) // the control group of a unit
}

// begin checks that all records can be read, and stores the memory before the first connection.
func (a *Account) begin() error {
	if a == nil {
		return nil
	}
	a.problem = nil
	a.system.proc, a.system.cgroup = cmp.Or(a.system.proc, "/proc"), cmp.Or(a.system.cgroup, "/sys/fs/cgroup")
	if a.system.unitGroup == nil {
		a.system.unitGroup = unitGroup
	}
	if _, err := a.sum(); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	var err error
	if a.before, err = a.pss(); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return nil
}

// read returns the CPU time so far.
func (a *Account) read() cpuTime {
	if a == nil {
		return cpuTime{}
	}
	spent, err := a.sum()
	a.note(err)
	return spent
}

// memory returns the Pss of all processes, in bytes.
func (a *Account) memory() int64 {
	if a == nil {
		return 0
	}
	bytes, err := a.pss()
	a.note(err)
	return bytes
}

func (a *Account) note(err error) {
	if a.problem == nil {
		a.problem = err
	}
}

func (a *Account) sum() (cpuTime, error) {
	var sum cpuTime
	var errs []error
	if len(a.PIDs) > 0 {
		spent, err := a.system.processesTime(a.PIDs)
		sum = sum.plus(spent)
		errs = append(errs, err)
	}
	for _, unit := range a.Units {
		spent, err := a.system.unitTime(unit)
		sum = sum.plus(spent)
		errs = append(errs, err)
	}
	return sum, errors.Join(errs...)
}

func (a *Account) pss() (int64, error) {
	members := make(map[int]struct{})
	var errs []error
	if len(a.PIDs) > 0 {
		family, err := a.system.family(a.PIDs)
		errs = append(errs, err)
		for _, pid := range family {
			members[pid] = struct{}{}
		}
	}
	for _, unit := range a.Units {
		pids, err := a.system.unitProcesses(unit)
		errs = append(errs, err)
		for _, pid := range pids {
			members[pid] = struct{}{}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	pids := make([]int, 0, len(members))
	for pid := range members {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return a.system.memory(pids)
}
