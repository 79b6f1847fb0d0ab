//go:build unix

package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"syscall"
	"time"
)

// Options say what is measured.
type Options struct {
	Rounds       int            // that each peer takes its turn
	MemoryRounds int            // the same of the memory rows, which take long
	Only         *regexp.Regexp // groups of rows; nil is all
	Root         string         // a folder with another Debian, whose proxies are measured; "" is this machine
	Beside       string         // another Portico program, measured instead of the other proxies; "" is those
	Log          io.Writer      // gets a line per group
}

// Result is what was measured.
type Result struct {
	rows    []*row
	peers   []string
	about   []string // versions, machine
	peersOf string   // the release that the other proxies come from
}

// group is rows that are measured together.
type group struct {
	name    string
	measure func() ([]*row, error)
}

// Measure installs nothing: it runs the peers that are there, in a temporary folder, and takes about twenty minutes
// with seven rounds. This program must call [Role] at its start. Not being able to run one of the peers is an error.
// A group that fails leaves the others in the result. When ctx is done, what runs is killed.
func Measure(ctx context.Context, o Options) (*Result, error) {
	s, err := openSite(ctx, o.Root)
	if err != nil {
		return nil, err
	}
	defer s.close()
	program, err := s.build()
	if err != nil {
		return nil, err
	}
	all := starters(program)
	if o.Beside != "" {
		all = []starter{all[0], porticoAt("the other portico", o.Beside)}
	}
	result := &Result{peersOf: s.system.name()}
	for _, st := range all {
		result.peers = append(result.peers, st.name)
	}
	if result.about, err = about(s, all); err != nil {
		return nil, err
	}
	result.about = append(result.about, fmt.Sprintf("- Rounds: %d; of the memory rows %d", o.Rounds, o.MemoryRounds))
	var failures []error
	for _, g := range groups(s, all, program, o) {
		if o.Only != nil && !o.Only.MatchString(g.name) {
			continue
		}
		start := time.Now()
		rows, err := g.measure()
		if err != nil { // the others may take an hour: they are worth having
			failures = append(failures, fmt.Errorf("%s: %w", g.name, err))
			continue
		}
		result.rows = append(result.rows, rows...)
		fmt.Fprintf(o.Log, "%s: %.0f s\n", g.name, time.Since(start).Seconds())
	}
	return result, errors.Join(failures...)
}

func groups(s *site, all []starter, program string, o Options) []group {
	rounds := o.Rounds
	one := func(r *row, err error) ([]*row, error) { return []*row{r}, err }
	two := func(a, b *row, err error) ([]*row, error) { return []*row{a, b}, err }
	var list []group
	for _, l := range loads() {
		list = append(list, group{l.name, func() ([]*row, error) { return one(loadRow(s, all, l, rounds)) }})
	}
	list = append(list, group{"round trip", func() ([]*row, error) { return one(roundTripRow(s, all, rounds)) }})
	for i, w := range memoryWays {
		list = append(list, group{"idle session, " + w.name,
			func() ([]*row, error) { return two(memoryRows(s, all, i, o.MemoryRounds)) }})
	}
	for _, kind := range shortSessions() {
		list = append(list,
			group{kind.name, func() ([]*row, error) { return one(shortSessionRow(s, all, kind, rounds)) }})
	}
	return append(list,
		group{"sign-in, plain", func() ([]*row, error) { return one(signInRow(s, all, false, rounds)) }},
		group{"sign-in, new TLS session", func() ([]*row, error) { return one(signInRow(s, all, true, rounds)) }},
		group{"sign-ins at once", func() ([]*row, error) { return two(handedOverRows(s, all, rounds)) }},
		group{"reconnect", func() ([]*row, error) { return two(reconnectRows(s, all, rounds)) }},
		group{"storm", func() ([]*row, error) { return two(stormRows(s, all, rounds)) }},
		group{"9,000 sessions", func() ([]*row, error) { return one(crowdRow(s, all, rounds)) }},
		group{"scrape", func() ([]*row, error) { return two(scrapeRows(s, program, rounds)) }},
	)
}

// raiseDescriptors sets the limit for this process and, as it is set by hand, for those it starts.
func raiseDescriptors() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < 2*crowd+500 {
		return fmt.Errorf("the hard limit of descriptors is %d: 9,000 sessions take %d", limit.Max, 2*crowd+500)
	}
	limit.Cur = min(limit.Max, 1<<20)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
