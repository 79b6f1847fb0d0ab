//go:build unix

package peers

import (
	"fmt"
	"time"
)

// Of the rows with many sessions.
const (
	crowd     = 9000 // two descriptors each, of the 20,000 that a process may often have
	few       = 50
	crowdRate = 2000.0 // commands a second, of all sessions
	crowdTime = 3 * time.Second
)

// crowdRow compares what a command costs among many sessions with what it costs among few, at the same rate.
func crowdRow(s *site, all []starter, rounds int) (*row, error) {
	r := &row{
		name: "cost per command at 9,000 sessions over cost at 50", unit: "ratio", bar: 1.15, against: absolute,
		note: fmt.Sprintf("%.0f NOOPs a second", crowdRate),
	}
	for _, st := range all { // one after the other: the mailbox server has descriptors for one crowd
		if err := crowdOf(s, st, r, rounds); err != nil {
			return nil, fmt.Errorf("%s: %w", st.name, err)
		}
	}
	return r, nil
}

func crowdOf(s *site, st starter, r *row, rounds int) error {
	running, err := startAll(s, []starter{st, st})
	defer stopAll(running)
	if err != nil {
		return err
	}
	var sessions [2][]*client
	for i, n := range []int{few, crowd} {
		sessions[i], err = signInMany(running[i].Plain, nil, n)
		defer closeAll(sessions[i])
		if err != nil {
			return err
		}
	}
	for range rounds {
		var cost [2]float64
		for i, p := range running {
			var done waits
			spent, _, err := p.spentOn(func() (err error) {
				done, err = openLoop(sessions[i], crowdRate, crowdTime)
				return err
			})
			if err != nil {
				return err
			}
			cost[i] = micros(spent.cpu) / float64(len(done))
		}
		r.add(st.name, cost[1]/cost[0])
	}
	return nil
}

// Of the scrape's rows.
const (
	scrapeServers = 20
	scrapeEvery   = 250 * time.Millisecond // in turns with pages of the bystander
	scrapeProbes  = 10                     // of both
	probeRate     = 1000.0                 // NOOPs a second while scraped
	bystanderWork = 5 * time.Millisecond   // for a page, as much as a scrape
)

// scrapeVerbs are twenty commands that any session may send.
var scrapeVerbs = []string{
	"NOOP", "CHECK", "CAPABILITY", "NAMESPACE", "EXPUNGE", "SELECT INBOX", "EXAMINE INBOX", "STATUS INBOX (MESSAGES)",
	`LIST "" *`,
	`LSUB "" *`, "CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE x", "UNSUBSCRIBE x", "SEARCH ALL", "UID SEARCH ALL",
	`STORE 1 +FLAGS (\Seen)`, "COPY 1 x", `UID STORE 1 +FLAGS (\Seen)`,
}

// scrapeRows measure how long /metrics takes with many sessions, and how much longer commands wait for it.
func scrapeRows(s *site, program string, rounds int) (took, waited *row, err error) {
	p, err := startPortico(s, portico, program, false, scrapeServers)
	if err != nil {
		return nil, nil, err
	}
	defer p.Stop()
	clients, err := signInMany(p.Plain, nil, crowd)
	defer closeAll(clients)
	if err != nil {
		return nil, nil, err
	}
	for i := range scrapeVerbs { // each session a few, so that each server has seen all
		some := func(c *client) error { return c.do("a " + scrapeVerbs[i] + "\r\n") }
		if err := eachOfFew(clients[i*len(clients)/len(scrapeVerbs):(i+1)*len(clients)/len(scrapeVerbs)],
			some); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", scrapeVerbs[i], err)
		}
	}
	took = &row{name: "scrape of /metrics: 9,000 sessions, 20 servers, 20 verbs", unit: "ms", bar: 15,
		against: absolute}
	text, err := scrape(p.metrics)
	if err != nil {
		return nil, nil, err
	}
	page, err := startBystander(s, bystanderWork, len(text))
	if err != nil {
		return nil, nil, err
	}
	waited = &row{name: "how much longer a command waits at most for a scrape than for a bystander", unit: "ms",
		bar: 1, against: absolute}
	var inScrape, beside []float64
	for range rounds {
		probes, commands, err := scrapeRound(clients[:few], p.metrics, page)
		if err != nil {
			return nil, nil, err
		}
		for i := 0; i < len(probes); i += 2 {
			scraped, other := probes[i], probes[i+1]
			took.add(portico, millis(scraped.took))
			forScrape, forOther := millis(longest(commands, scraped)), millis(longest(commands, other))
			inScrape, beside = append(inScrape, forScrape), append(beside, forOther)
			waited.add(portico, forScrape-forOther)
		}
	}
	waited.note = fmt.Sprintf("at %.0f NOOPs a second; the longest waits: in a scrape %s, while the bystander makes "+
		"a page of the same length %s",
		probeRate, spreadOf(inScrape), spreadOf(beside))
	return took, waited, nil
}

// scrapeRound reads pages in turns while commands are due, and returns when each was and how long it took.
func scrapeRound(clients []*client, pages ...string) (probes, commands waits, err error) {
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for i := range scrapeProbes {
			time.Sleep(scrapeEvery)
			start := time.Now()
			if _, err := scrape(pages[i%len(pages)]); err != nil {
				failed <- err
				return
			}
			probes = append(probes, sample{start, time.Since(start)})
		}
	}()
	commands, err = openLoop(clients, probeRate, scrapeEvery*(scrapeProbes+2))
	if failure := <-failed; err == nil {
		err = failure
	}
	return probes, commands, err
}

// longest returns the longest of the waits that overlap a time.
func longest(w waits, of sample) time.Duration {
	var most time.Duration
	for _, s := range w {
		if !s.due.After(of.due.Add(of.took)) && !s.due.Add(s.took).Before(of.due) {
			most = max(most, s.took)
		}
	}
	return most
}

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
