//go:build unix

package peers

import (
	"net/http"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// bystanderNiceness is that of Portico's threads which make a scrape.
const bystanderNiceness = 10

// bystander is a process of its own, which answers each request with a page after some work. Commands wait for it only
// because it takes processor time from all others: what they wait for a scrape beyond that is Portico's doing.
func bystander(addr, work, size string) error {
	length, err := time.ParseDuration(work)
	if err != nil {
		return err
	}
	bytes, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	if err := syscall.Setpriority(syscall.PRIO_PGRP, 0, bystanderNiceness); err != nil {
		return err
	}
	page := make([]byte, bytes)
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for start := time.Now(); time.Since(start) < length; {
		}
		w.Write(page)
	}))
}

// startBystander returns where a bystander's pages are. It ends with the run.
func startBystander(s *site, work time.Duration, size int) (url string, err error) {
	addrs, err := freePorts(1)
	if err != nil {
		return "", err
	}
	cmd, err := s.run(filepath.Join(s.dir, "bystander.log"),
		[]string{s.system.self, "bystander", addrs[0], work.String(), strconv.Itoa(size)})
	if err != nil {
		return "", err
	}
	s.atEnd = append(s.atEnd, func() { s.end(cmd) })
	return "http://" + addrs[0] + "/", answers(addrs[0])
}
