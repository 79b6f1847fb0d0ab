package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
	"portico/health/catalogue"
)

// fakeMonitors are monitors whose states the test sets.
type fakeMonitors struct {
	mu  sync.Mutex
	all []MonitorState
}

func (f *fakeMonitors) set(value AlertValue, d Dependency, mailbox string, ids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.all {
		for _, id := range ids {
			if m := &f.all[i]; strings.HasSuffix(m.ID(), id) && m.Value != value {
				m.Value, m.LastTransition, m.FirstAlert = value, time.Now(), time.Now()
				m.LastFailure = &Result{Dependency: d, Mailbox: mailbox, Err: "it failed"}
			}
		}
	}
}

func (f *fakeMonitors) get() []MonitorState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]MonitorState(nil), f.all...)
}

func newFakeMonitors() *fakeMonitors {
	f := &fakeMonitors{}
	add := func(set, name, target string) {
		f.all = append(f.all, MonitorState{Monitor: Monitor{HealthSet: set, Name: name, Target: target},
			Value: Healthy})
	}
	for i := range 6 {
		add(catalogue.SetProtocol, catalogue.ImapSelfTestMonitor, fmt.Sprintf("mbx%d", i))
		add(catalogue.SetProtocol, catalogue.ImapDeepTestMonitor, fmt.Sprintf("db%d", i))
		add(catalogue.SetIMAP, catalogue.ImapCTPMonitor, fmt.Sprintf("db%d", i))
	}
	add(catalogue.SetProxy, catalogue.ImapProxyTestMonitor, "")
	return f
}

// runs has an escalator run until stop is called.
func runs(t *testing.T, e *Escalator) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		e.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

// escalating runs an escalator in simulated time and gives what it has told so far, each cause once, with + and - for
// begin and end.
func escalating(t *testing.T, test func(t *testing.T, f *fakeMonitors, e *Escalator, told func() string)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		var mu sync.Mutex
		var all []string
		seen := make(map[string]bool)
		e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: f.get,
			Sinks: []Sink{SinkFunc(func(_ context.Context, a Alert) error {
				mu.Lock()
				defer mu.Unlock()
				mark := "+" + a.Cause
				if !a.Ended.IsZero() {
					mark = "-" + a.Cause
					delete(seen, "+"+a.Cause)
				} else if seen[mark] {
					return nil
				}
				seen[mark] = a.Ended.IsZero()
				all = append(all, mark)
				return nil
			})}})
		if err != nil {
			t.Fatal(err)
		}
		stop := runs(t, e)
		test(t, f, e, func() string {
			mu.Lock()
			defer mu.Unlock()
			text := strings.Join(all, ", ")
			all = nil
			return text
		})
		stop()
	})
}

// A copy of an alert stays as it was, whatever fails later.
func TestOpenReturnsCopies(t *testing.T) {
	escalating(t, func(t *testing.T, f *fakeMonitors, e *Escalator, _ func() string) {
		for _, id := range []string{"CTPMonitor/db5", "CTPMonitor/db4", "DeepTestMonitor/db5", "DeepTestMonitor/db4",
			"SelfTestMonitor/mbx1"} {
			copies := e.Open()
			before := fmt.Sprint(copies)
			f.set(Unhealthy, Networking, "mbx1", id)
			time.Sleep(2 * time.Minute)
			if got := fmt.Sprint(copies); got != before {
				t.Errorf("when %s failed, a copy became %s, was %s", id, got, before)
			}
		}
	})
}

// An alert about two mailbox servers lists what fails on both, though one of them fails for less than a minute.
func TestAnAlertListsTheMonitorsOfAllItsServers(t *testing.T) {
	escalating(t, func(t *testing.T, f *fakeMonitors, e *Escalator, told func() string) {
		f.all = slices.DeleteFunc(f.all, func(m MonitorState) bool {
			return m.Name == catalogue.ImapSelfTestMonitor && m.Target > "mbx2"
		})
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		f.set(Unhealthy, Networking, "mbx1", "DeepTestMonitor/db1")
		time.Sleep(30 * time.Second)
		f.set(Degraded, Networking, "mbx2", "SelfTestMonitor/mbx2")
		f.set(Degraded, Networking, "mbx2", "DeepTestMonitor/db2")
		time.Sleep(35 * time.Second)
		open := e.Open()
		if len(open) != 1 || open[0].Title() != "Networking of mbx1, mbx2" {
			t.Fatalf("open are %+v", open)
		}
		want := []string{"IMAP.Protocol/ImapDeepTestMonitor/db1", "IMAP.Protocol/ImapDeepTestMonitor/db2",
			"IMAP.Protocol/ImapSelfTestMonitor/mbx1", "IMAP.Protocol/ImapSelfTestMonitor/mbx2"}
		if !slices.Equal(open[0].Monitors, want) {
			t.Errorf("it lists %v, want %v", open[0].Monitors, want)
		}
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1", "SelfTestMonitor/mbx2", "DeepTestMonitor/db1",
			"DeepTestMonitor/db2")
		time.Sleep(time.Minute)
		if got := told(); got != "+Networking, -Networking" {
			t.Errorf("told %q", got)
		}
	})
}

// One alert for each cause: a dead server is one, however many monitors it turns; so is what everybody has in common.
func TestOneAlertForEachCause(t *testing.T) {
	escalating(t, func(t *testing.T, f *fakeMonitors, e *Escalator, told func() string) {
		want := func(text string) {
			t.Helper()
			if got := told(); got != text {
				t.Errorf("told %q, want %q", got, text)
			}
		}
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(20 * time.Second)
		f.set(Unhealthy, Networking, "mbx1", "Monitor/db1")
		time.Sleep(30 * time.Second)
		want("") // others may turn too
		time.Sleep(time.Minute)
		want("+Networking of mbx1")
		if open := e.Open(); len(open) != 1 || len(open[0].Monitors) != 3 ||
			!strings.Contains(open[0].Message(), "portico probe run IMAP.Protocol/ImapDeepTestProbe/db1 -o list") {
			t.Errorf("open are %+v", open)
		}
		f.set(Degraded, InformationStore, "mbx2", "DeepTestMonitor/db2")
		time.Sleep(10 * time.Minute)
		want("") // degraded is not told, and nothing is told twice
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		time.Sleep(time.Minute)
		want("")
		f.set(Healthy, None, "", "Monitor/db1", "DeepTestMonitor/db2")
		time.Sleep(time.Minute)
		want("-Networking of mbx1")

		f.set(Unhealthy, ActiveDirectory, "", "ProxyTestMonitor", "CTPMonitor/db0", "CTPMonitor/db1", "CTPMonitor/db2",
			"CTPMonitor/db3", "CTPMonitor/db4", "CTPMonitor/db5")
		time.Sleep(5 * time.Minute)
		want("+Active Directory")
		f.set(Healthy, None, "", "Monitor/db0", "Monitor/db1", "Monitor/db2", "Monitor/db3", "Monitor/db4",
			"Monitor/db5", "ProxyTestMonitor")
		time.Sleep(time.Minute)
		want("-Active Directory")
		f.set(Unhealthy, Portico, "mbx1", "ProxyTestMonitor", "SelfTestMonitor/mbx1", "CTPMonitor/db1")
		time.Sleep(5 * time.Minute)
		want("+Portico") // it is no mailbox server's
		if open := e.Open(); len(open) != 1 || open[0].Mailbox != "" {
			t.Errorf("open are %+v", open)
		}
		f.set(Healthy, None, "", "ProxyTestMonitor", "SelfTestMonitor/mbx1", "CTPMonitor/db1")
		time.Sleep(time.Minute)
		want("-Portico")
		f.set(Unavailable, None, "", "SelfTestMonitor/mbx4")
		time.Sleep(5 * time.Minute)
		want("+ImapSelfTestMonitor of mbx4")
	})
}

// An alert names the mailbox server, also where there is just one, or where one holds most of the databases. What
// fails there later joins it, and is told if it is another fault.
func TestAlertsNameTheServer(t *testing.T) {
	escalating(t, func(t *testing.T, f *fakeMonitors, e *Escalator, told func() string) {
		f.set(Unhealthy, InformationStore, "mbx1", "DeepTestMonitor/db1", "DeepTestMonitor/db2", "DeepTestMonitor/db3",
			"DeepTestMonitor/db4")
		time.Sleep(2 * time.Minute)
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1", "CTPMonitor/db1")
		time.Sleep(2 * time.Minute)
		open := e.Open()
		if got := told(); got != "+Information Store of mbx1, +Networking of mbx1" || len(open) != 1 ||
			len(open[0].Monitors) != 6 ||
			open[0].Mailbox != "mbx1" {
			t.Errorf("told %q, open are %+v", got, open)
		}
		f.set(Unhealthy, Networking, "mbx2", "SelfTestMonitor/mbx2")
		time.Sleep(2 * time.Minute)
		if got := told(); got != "+Networking of mbx2" {
			t.Errorf("told %q of another server", got)
		}
		f.set(Unhealthy, Networking, "mbx3", "SelfTestMonitor/mbx3", "SelfTestMonitor/mbx4")
		time.Sleep(2 * time.Minute)
		if got := told(); got != "+Networking" {
			t.Errorf("told %q of what servers have in common", got)
		}
		const names = "Networking of mbx1, mbx2, mbx3, mbx4"
		i := slices.IndexFunc(e.Open(), func(a Alert) bool { return a.Cause == "Networking" })
		if i < 0 || e.Open()[i].Title() != names || !strings.Contains(e.Open()[i].Subject(), names+" is at fault") ||
			!strings.Contains(e.Open()[i].Message(), "_Mbx:mbx3\n_Mbx:mbx4\n") {
			t.Errorf("open are %+v", e.Open())
		}
	})
	f := &fakeMonitors{all: []MonitorState{{Monitor: Monitor{
		HealthSet: catalogue.SetProtocol, Name: catalogue.ImapSelfTestMonitor,
		Target: "mbx1"}}}}
	f.set(Unhealthy, Networking, "mbx1", "mbx1")
	e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: f.get,
		Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	if told := e.look(t.Context()); len(told) != 1 || told[0].Cause != "Networking of mbx1" {
		t.Errorf("%+v", told)
	}
}

// What failed before a database has moved, or while it moved, opens no alert: the next result tells.
func TestNoAlertOfWhatIsOver(t *testing.T) {
	f := newFakeMonitors()
	f.set(Unhealthy, InformationStore, "mbx1", "DeepTestMonitor/db1")
	f.set(Unhealthy, HighAvailability, "", "DeepTestMonitor/db2")
	f.set(Unhealthy, HighAvailability, "", "DeepTestMonitor/db3")
	f.set(Unavailable, InformationStore, "mbx1", "DeepTestMonitor/db4") // no next result comes
	active := map[string]string{"db1": "mbx2", "db2": "mbx2", "db4": "mbx2"}
	e, err := NewEscalator(t.Context(), EscalatorOptions{
		Common: 34, Monitors: f.get, Now: func() time.Time { return time.Now().Add(time.Hour) },
		Active: func(database string) string { return active[database] },
	})
	if err != nil {
		t.Fatal(err)
	}
	var causes []string
	for _, a := range e.look(t.Context()) {
		causes = append(causes, a.Cause+" by "+strings.Join(a.Monitors, ", "))
	}
	const want = "High Availability of db3 by IMAP.Protocol/ImapDeepTestMonitor/db3; Information Store of mbx1 by " +
		"IMAP.Protocol/ImapDeepTestMonitor/db4"
	if got := strings.Join(causes, "; "); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
}

// An alert whose monitor is switched off, or on which somebody works, ends; but nobody is told that all is well.
func TestUnwatchedIsNotWell(t *testing.T) {
	const unwatched = "IMAP: Networking of mbx1: alert withdrawn, because its monitors are Disabled or Repairing"
	for value, want := range map[AlertValue]string{
		Healthy: "IMAP: Networking of mbx1 is healthy again", Disabled: unwatched, Repairing: unwatched,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeMonitors()
			last := make(chan string, 100)
			sink := SinkFunc(func(_ context.Context, a Alert) error {
				last <- a.Subject()
				return nil
			})
			e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: f.get, Sinks: []Sink{sink}})
			if err != nil {
				t.Fatal(err)
			}
			stop := runs(t, e)
			f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
			time.Sleep(90 * time.Second)
			f.set(value, None, "", "SelfTestMonitor/mbx1")
			time.Sleep(time.Minute)
			stop()
			close(last)
			got := ""
			for got = range last {
			}
			if got != want {
				t.Errorf("%v: told %q", value, got)
			}
		})
	}
}

// A monitor that flaps is told, once, though it is never Unhealthy for long; but not if its database was on another
// server then.
func TestFlappingIsTold(t *testing.T) {
	escalating(t, func(t *testing.T, f *fakeMonitors, _ *Escalator, told func() string) {
		flaps := time.Now()
		for range 20 { // each state lasts for less than a minute
			for _, value := range []AlertValue{Degraded, Unhealthy} {
				f.set(value, Networking, "mbx1", "SelfTestMonitor/mbx1")
				f.mu.Lock()
				for i := range f.all {
					if f.all[i].Value == value {
						f.all[i].FlapsSince = flaps
					}
				}
				f.mu.Unlock()
				time.Sleep(30 * time.Second)
			}
		}
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		time.Sleep(time.Minute)
		if got := told(); got != "+Networking of mbx1, -Networking of mbx1" {
			t.Errorf("told %q", got)
		}
	})
}

// After a restart what is open goes on: nobody is told a second time, and they are told when it is over, also if they
// could not be at first.
func TestAlertsOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		kept := store.Memory()
		defer kept.Close()
		stored := store.OneOf[[]Alert](kept, "alerts")
		var told []string
		var down atomic.Bool
		start := func() (stop func()) {
			e, err := NewEscalator(t.Context(), EscalatorOptions{
				Monitors: f.get, Stored: &stored,
				Sinks: []Sink{SinkFunc(func(_ context.Context, a Alert) error {
					if down.Load() {
						return errors.New("nobody there")
					}
					told = append(told, a.Subject())
					return nil
				})},
			})
			if err != nil {
				t.Fatal(err)
			}
			return runs(t, e)
		}
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		stop := start()
		time.Sleep(90 * time.Second)
		stop()
		if len(told) != 1 {
			t.Fatalf("told %q", told)
		}
		stop = start()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if len(told) != 1 {
			t.Errorf("after a restart: %q", told)
		}
		down.Store(true)
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		time.Sleep(time.Minute)
		down.Store(false)
		time.Sleep(time.Minute)
		stop()
		left, err := kept.Get(t.Context(), "alerts")
		if len(told) != 2 || told[1] != "IMAP: Networking of mbx1 is healthy again" || string(left.Value) != "[]" {
			t.Errorf("told %q, stored %s, %v", told, left.Value, err)
		}
	})
}
