package node

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portico/health"
	"portico/health/catalogue"
)

// BenchmarkProbes runs what 20 mailbox servers and 200 databases mean at the default intervals, a minute's worth at a
// time: 20 ImapSelfTestProbe, 100 ImapDeepTestProbe, 100 ImapCTPProbe and an ImapProxyTestProbe, over TLS to clients
// and to real servers. It says how much of a processor that is, the front end's share included.
func BenchmarkProbes(b *testing.B) {
	w := newWatchedSite(b, nil)
	file := w.config(b, healthMailboxes)
	for i, dovecot := range w.dovecots {
		w.replace(b, fmt.Sprintf("%q, tls: none", w.valves[i].ln.Addr()),
			fmt.Sprintf("%q, tls: implicit, ca: ca.crt", dovecot.TLS))
	}
	r := w.serve(b, file)
	minute := []struct {
		set, probe, target string
		runs               int
	}{
		{catalogue.SetProtocol, catalogue.ImapSelfTestProbe, "mbx1", 20},
		{catalogue.SetProtocol, catalogue.ImapDeepTestProbe, "db1", 100},
		{catalogue.SetIMAP, catalogue.ImapCTPProbe, "db1", 100},
		{catalogue.SetProxy, catalogue.ImapProxyTestProbe, "", 1},
	}
	spent := func() time.Duration {
		var usage unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	by := make(map[string]time.Duration)
	var all time.Duration
	for b.Loop() {
		for _, of := range minute {
			before := spent()
			for range of.runs {
				results, err := r.monitoring.engine.RunNow(b.Context(), of.set, of.probe, of.target, health.ByHand{})
				if err != nil || results[0].Type != health.Succeeded {
					b.Fatal(results, err)
				}
			}
			took := spent() - before
			by[of.probe] += took
			all += took
		}
	}
	for _, of := range minute {
		b.ReportMetric(float64(by[of.probe].Microseconds())/float64(b.N*of.runs), "cpu-µs/"+of.probe)
	}
	b.ReportMetric(100*all.Seconds()/(float64(b.N)*60), "%core")
}
