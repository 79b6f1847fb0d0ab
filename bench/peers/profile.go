//go:build unix

package peers

import (
	"context"
	"crypto/tls"
	"fmt"
	"os/exec"
	"time"
)

// profileTime is how long Portico is watched at each work.
const profileTime = 8 * time.Second

// Profile has Portico do the works that are measured and writes to path where its processor time goes, for the
// compiler to go by (the flag -pgo of go build). Of ctx and [Role] it is as with [Measure].
func Profile(ctx context.Context, path string) error {
	s, err := openSite(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	program, err := s.build("-tags", "pprof", "-pgo", "off")
	if err != nil {
		return err
	}
	addrs, err := freePorts(1)
	if err != nil {
		return err
	}
	s.env = append(s.env, "PORTICO_PPROF="+addrs[0])
	p, err := startPortico(s, portico, program, false, 1)
	if err != nil {
		return err
	}
	defer p.Stop()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", addrs[0], profileTime.Seconds())

	var files []string
	watch := func(work func() error) error {
		profile, err := during(url, work)
		if err != nil {
			return err
		}
		file, err := s.file(fmt.Sprintf("profile%d", len(files)), string(profile))
		files = append(files, file)
		return err
	}
	for _, l := range loads() {
		sessions, err := l.open(s, p)
		if err == nil {
			err = watch(func() error { return l.work(sessions) })
		}
		closeAll(sessions)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	postQuantum, err := clientTLS(s.ca)
	if err != nil {
		return err
	}
	for _, config := range []*tls.Config{nil, s.client, postQuantum} {
		if err := watch(func() error {
			clients, err := signInMany(p.address(config != nil), config, perSignIn)
			closeAll(clients)
			return err
		}); err != nil {
			return fmt.Errorf("sign-in: %w", err)
		}
	}
	merge := append([]string{"tool", "pprof", "-proto", "-output", path}, files...)
	if out, err := exec.CommandContext(ctx, "go", merge...).CombinedOutput(); err != nil {
		return fmt.Errorf("merge profiles: %w\n%s", err, out)
	}
	return nil
}

// during reads a page that takes its time, and does a work again and again meanwhile.
func during(url string, work func() error) ([]byte, error) {
	type answer struct {
		page []byte
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		page, err := scrape(url)
		read <- answer{page, err}
	}()
	for {
		select {
		case a := <-read:
			return a.page, a.err
		default:
			if err := work(); err != nil {
				return nil, err
			}
		}
	}
}
