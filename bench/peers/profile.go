//go:build unix

package peers

import (
	"context"
	"crypto/tls"
	"fmt"
	"os/exec"
	"time"
)

// profileTime is how long each work is profiled.
const profileTime = 8 * time.Second

// Profile makes Portico do the measured kinds of work, and writes its CPU profile to path, for profile-guided
// optimisation (the flag -pgo of go build). For ctx and [Role] see [Measure].
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
	r := &profiler{site: s, url: fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", addrs[0],
		profileTime.Seconds())}
	if err := r.loads(p); err != nil {
		return err
	}
	if err := r.signIns(p); err != nil {
		return fmt.Errorf("sign-in: %w", err)
	}
	return mergeProfiles(ctx, path, r.files)
}

// profiler takes a profile of each kind of work.
type profiler struct {
	site  *site
	url   string   // of the profile
	files []string // one for each work
}

// profile takes a profile while it repeats a work.
func (r *profiler) profile(work func() error) error {
	profile, err := during(r.url, work)
	if err != nil {
		return err
	}
	file, err := r.site.file(fmt.Sprintf("profile%d", len(r.files)), string(profile))
	r.files = append(r.files, file)
	return err
}

// loads takes profiles of the loads of sessions that stay.
func (r *profiler) loads(p *Peer) error {
	for _, l := range loads() {
		sessions, err := l.open(r.site, p)
		if err == nil {
			err = r.profile(func() error { return l.work(sessions) })
		}
		closeAll(sessions)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// signIns takes profiles of sign-ins without TLS, with TLS, and with the hybrid key exchange.
func (r *profiler) signIns(p *Peer) error {
	postQuantum, err := clientTLS(r.site.ca)
	if err != nil {
		return err
	}
	for _, config := range []*tls.Config{nil, r.site.client, postQuantum} {
		err := r.profile(func() error {
			clients, err := signInMany(p.address(config != nil), config, perSignIn)
			closeAll(clients)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mergeProfiles merges profiles into the file at path.
func mergeProfiles(ctx context.Context, path string, files []string) error {
	merge := append([]string{"tool", "pprof", "-proto", "-output", path}, files...)
	if out, err := exec.CommandContext(ctx, "go", merge...).CombinedOutput(); err != nil {
		return fmt.Errorf("merge profiles: %w\n%s", err, out)
	}
	return nil
}

// during reads a page whose answer takes some time, and repeats a work meanwhile.
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
