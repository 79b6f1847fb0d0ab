//go:build !linux

package bench

import "errors"

var errNoAccounts = errors.New("CPU and memory of processes can be read only on Linux")

func (accounting) processesTime([]int) (cpuTime, error) { return cpuTime{}, errNoAccounts }
func (accounting) family([]int) ([]int, error)          { return nil, errNoAccounts }
func (accounting) memory([]int) (int64, error)          { return 0, errNoAccounts }
func (accounting) unitTime(string) (cpuTime, error)     { return cpuTime{}, errNoAccounts }
func (accounting) unitProcesses(string) ([]int, error)  { return nil, errNoAccounts }
func unitGroup(string) (string, error)                  { return "", errNoAccounts }
