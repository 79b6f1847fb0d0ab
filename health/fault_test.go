package health

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
	"portico/health/catalogue"
)

// fails has a monitor fail, flap, or be well.
func (f *fakeMonitors) fails(id string, value AlertValue, flaps bool, last *Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.all {
		m := &f.all[i]
		if !strings.HasSuffix(m.ID(), id) {
			continue
		}
		if m.Value != value {
			m.Value, m.LastTransition = value, time.Now()
		}
		if m.FlapsSince.IsZero() && flaps {
			m.FlapsSince = time.Now()
		} else if !flaps {
			m.FlapsSince = time.Time{}
		}
		if last != nil {
			m.LastFailure = last
		}
	}
}

// worsening is a world of monitors, and what people were told about them.
type worsening struct {
	*fakeMonitors

	mu     sync.Mutex // guards what follows
	active map[string]string
	told   []string
}

func (w *worsening) move(database, server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[database] = server
}

func (w *worsening) activeOn(database string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active[database]
}

// tells waits, and holds what people were told meanwhile against what they should be.
func (w *worsening) tells(t *testing.T, wait time.Duration, want ...string) {
	t.Helper()
	time.Sleep(wait)
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	w.told = nil
}

func worsens(t *testing.T, test func(t *testing.T, w *worsening, restart func())) {
	synctest.Test(t, func(t *testing.T) {
		w := &worsening{fakeMonitors: newFakeMonitors(), active: make(map[string]string)}
		w.all = append(w.all,
			MonitorState{Monitor: Monitor{HealthSet: catalogue.SetProtocol, Name: catalogue.DatabaseCopyStatusMonitor,
				Target: "mbx1"}, Value: Healthy}, MonitorState{Monitor: Monitor{HealthSet: catalogue.SetIMAP,
				Name: catalogue.ProxyConnectionsFailedGt20PercentMonitor, Target: "mbx1"}, Value: Healthy})
		kept := store.Memory()
		defer kept.Close()
		stored := store.OneOf[[]Alert](kept, "alerts")
		start := func() (stop func()) {
			e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: w.get, Stored: &stored,
				Active: w.activeOn,
				Sinks: []Sink{SinkFunc(func(_ context.Context, a Alert) error {
					if a.Again {
						return nil
					}
					w.mu.Lock()
					defer w.mu.Unlock()
					subject, _, _ := strings.Cut(strings.TrimPrefix(a.Subject(), "IMAP: "), ": I")
					if a.Ended.IsZero() {
						subject += ": " + a.Error
					}
					w.told = append(w.told, subject)
					return nil
				})}})
			if err != nil {
				t.Fatal(err)
			}
			return runs(t, e)
		}
		stop := start()
		test(t, w, func() { stop(); stop = start() })
		stop()
	})
}

const told1 = "Networking of mbx1 is at fault: "

// Probes that name the same fault one after the other have one alert, whichever comes first.
func TestLaterProbesOfOneFault(t *testing.T) {
	eof := &Result{Dependency: Networking, Phase: "greeting", Mailbox: "mbx1", Err: "EOF"}
	for _, order := range [][]string{
		{"SelfTestMonitor/mbx1", "DeepTestMonitor/db1"}, {"DeepTestMonitor/db1", "SelfTestMonitor/mbx1"},
	} {
		worsens(t, func(t *testing.T, w *worsening, _ func()) {
			w.move("db1", "mbx1")
			w.fails(order[0], Unhealthy, false, eof)
			w.tells(t, 2*time.Minute, told1+"EOF")
			w.fails(order[1], Unhealthy, false, eof)
			w.tells(t, 20*time.Minute)
		})
	}
}

// A server that flaps is told. When it dies for good that is told too, once, also after a restart.
func TestFlappingServerDies(t *testing.T) {
	worsens(t, func(t *testing.T, w *worsening, restart func()) {
		eof := &Result{Dependency: Networking, Phase: "greeting", Mailbox: "mbx1", Err: "EOF"}
		w.fails("SelfTestMonitor/mbx1", Unhealthy, true, eof)
		time.Sleep(30 * time.Second)
		w.fails("SelfTestMonitor/mbx1", Degraded, true, nil)
		w.tells(t, 2*time.Minute, told1+"it fails and recovers repeatedly: EOF")
		for range 5 { // shorter than a minute each
			w.fails("SelfTestMonitor/mbx1", Unhealthy, true, eof)
			time.Sleep(30 * time.Second)
			w.fails("SelfTestMonitor/mbx1", Degraded, true, nil)
			w.tells(t, 30*time.Second)
		}
		w.fails("SelfTestMonitor/mbx1", Unhealthy, true, eof)
		w.tells(t, 2*time.Minute, told1+"EOF")
		refused := &Result{Dependency: Networking, Phase: "dial", Mailbox: "mbx1", Err: "refused"}
		w.fails("FailedGt20PercentMonitor/mbx1", Unhealthy, false, refused)
		w.fails("CTPMonitor/db1", Unhealthy, false,
			&Result{Dependency: Authentication, Phase: "signin", Mailbox: "mbx1", Err: "another view"})
		w.fails("SelfTestMonitor/mbx1", Unhealthy, true, refused)
		w.tells(t, 20*time.Minute)
		restart()
		w.tells(t, 20*time.Minute)
		w.fails("FailedGt20PercentMonitor/mbx1", Healthy, false, nil)
		w.fails("CTPMonitor/db1", Healthy, false, nil)
		w.fails("SelfTestMonitor/mbx1", Healthy, false, nil)
		w.tells(t, time.Minute, "Networking of mbx1 is healthy again")
	})
}

// An alert about copies is told again with each fault that it did not name: a full mail volume, then a dead server.
func TestCopiesThenWorse(t *testing.T) {
	worsens(t, func(t *testing.T, w *worsening, _ func()) {
		w.move("db1", "mbx1")
		w.fails("CopyStatusMonitor/mbx1", Unhealthy, false,
			&Result{Dependency: HighAvailability, Phase: "copies", Mailbox: "mbx1", Err: "the server stays blocked"})
		w.tells(t, 2*time.Minute, "High Availability of mbx1 is at fault: the server stays blocked")
		w.fails("DeepTestMonitor/db1", Unhealthy, false,
			&Result{Dependency: InformationStore, Phase: PhaseAppend, Mailbox: "mbx1", Err: "no space"})
		w.tells(t, 2*time.Minute, "Information Store of mbx1 is at fault: no space")
		w.fails("DeepTestMonitor/db1", Unhealthy, false, // once is nothing
			&Result{Dependency: InformationStore, Phase: "examine", Mailbox: "mbx1", Err: "a hiccup"})
		w.tells(t, 20*time.Second)
		w.fails("DeepTestMonitor/db1", Unhealthy, false,
			&Result{Dependency: InformationStore, Phase: PhaseAppend, Mailbox: "mbx1", Err: "no space"})
		w.tells(t, 20*time.Minute)
		w.fails("SelfTestMonitor/mbx1", Unhealthy, false,
			&Result{Dependency: Networking, Phase: "dial", Mailbox: "mbx1", Err: "refused"})
		w.tells(t, 2*time.Minute, told1+"refused")
		w.fails("SelfTestMonitor/mbx1", Unhealthy, false,
			&Result{Dependency: Networking, Phase: PhaseCertificate, Mailbox: "mbx1", Err: "it has expired"})
		w.tells(t, 2*time.Minute, told1+"it has expired")
		w.fails("DeepTestMonitor/db1", Healthy, false, nil)
		w.fails("SelfTestMonitor/mbx1", Healthy, false, nil)
		w.tells(t, 20*time.Minute)
		w.fails("CopyStatusMonitor/mbx1", Healthy, false, nil)
		w.tells(t, time.Minute, "Networking of mbx1 is healthy again")
	})
}

// A server dies whose monitor is part of an alert about the directory: that is another alert.
func TestDirectoryThenServer(t *testing.T) {
	worsens(t, func(t *testing.T, w *worsening, _ func()) {
		w.fails("SelfTestMonitor/mbx1", Unhealthy, false, &Result{Dependency: ActiveDirectory, Mailbox: "mbx1",
			Err: "the directory does not answer"})
		w.tells(t, 2*time.Minute, "Active Directory is at fault: the directory does not answer")
		w.fails("SelfTestMonitor/mbx1", Unhealthy, false, &Result{Dependency: Networking, Phase: "dial",
			Mailbox: "mbx1", Err: "refused"})
		w.tells(t, 2*time.Minute, told1+"refused")
	})
}

// An alert that names a server ends when nothing is at fault there, though databases that were there flap still.
// While another monitor of the server fails it lasts, though that was not told yet.
func TestAlertEndsWithTheServer(t *testing.T) {
	worsens(t, func(t *testing.T, w *worsening, _ func()) {
		w.move("db1", "mbx1")
		w.fails("SelfTestMonitor/mbx1", Unhealthy, false, &Result{Dependency: Networking, Mailbox: "mbx1", Err: "EOF"})
		w.fails("DeepTestMonitor/db1", Unhealthy, true, &Result{Dependency: Networking, Mailbox: "mbx1", Err: "EOF"})
		w.tells(t, 2*time.Minute, told1+"EOF")
		w.fails("DeepTestMonitor/db1", Degraded, true, nil)
		w.move("db1", "mbx2")
		w.tells(t, time.Minute)
		w.fails("FailedGt20PercentMonitor/mbx1", Unhealthy, false,
			&Result{Dependency: Networking, Mailbox: "mbx1", Err: "EOF"})
		w.fails("SelfTestMonitor/mbx1", Healthy, false, nil)
		w.tells(t, 30*time.Second)
		w.fails("FailedGt20PercentMonitor/mbx1", Healthy, false, nil)
		w.tells(t, time.Minute, "Networking of mbx1 is healthy again")
	})
}
