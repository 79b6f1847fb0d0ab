package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A sink that does not answer keeps no other one waiting. When it answers again it is told what it has missed, each
// thing once.
func TestSinksWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		var mu sync.Mutex
		var dead, mail []string
		down := true
		hangs := SinkFunc(func(ctx context.Context, a Alert) error {
			mu.Lock()
			defer mu.Unlock()
			if down {
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				return ctx.Err()
			}
			if !a.Again {
				dead = append(dead, a.Subject())
			}
			return nil
		})
		quick := SinkFunc(func(_ context.Context, a Alert) error {
			mu.Lock()
			defer mu.Unlock()
			if !a.Again {
				mail = append(mail, fmt.Sprint(time.Now().Format("15:04:05 "), a.Subject(), a.Tried))
			}
			return nil
		})
		var told atomic.Int32
		e, err := NewEscalator(t.Context(), EscalatorOptions{
			Common: 34, Monitors: f.get, Sinks: []Sink{hangs, quick}, Sent: func(Alert, Sink) { told.Add(1) },
			Tried: func(a Alert) []string { return []string{"tried for " + a.Cause} },
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := runs(t, e)
		time.Sleep(lookEach / 2)
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(10 * time.Minute)
		f.set(Unhealthy, Networking, "mbx2", "SelfTestMonitor/mbx2")
		time.Sleep(2 * time.Minute)
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		e.Inform(Alert{Cause: "db1 has moved", Since: time.Now()})
		time.Sleep(time.Minute)
		mu.Lock()
		want := "[00:01:10 IMAP: Networking of mbx1 is at fault: IMAP.Protocol/ImapSelfTestMonitor/mbx1[tried for " +
			"Networking of mbx1] " +
			"00:11:10 IMAP: Networking of mbx2 is at fault: IMAP.Protocol/ImapSelfTestMonitor/mbx2[tried for " +
			"Networking of mbx2] " +
			"00:12:05 IMAP: db1 has moved[tried for db1 has moved] 00:12:10 IMAP: Networking of mbx1 is healthy " +
			"again[tried for Networking of mbx1]]"
		if got := fmt.Sprint(mail); got != want {
			t.Errorf("the other sink is told\n%s, want\n%s", got, want)
		}
		down = false
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		stop()
		slices.Sort(dead)
		want = "[IMAP: Networking of mbx1 is healthy again IMAP: Networking of mbx2 is at fault: " +
			"IMAP.Protocol/ImapSelfTestMonitor/mbx2 IMAP: db1 has moved]"
		if got := fmt.Sprint(dead); got != want {
			t.Errorf("the sink that was dead is told\n%s, want\n%s", got, want)
		}
		if n := told.Load(); n != 7 {
			t.Errorf("%d alerts were taken for the first time", n)
		}
	})
}

// Other sinks get what those in their places have not taken, also what these are about to refuse.
func TestOtherSinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		var trying atomic.Bool
		fails := SinkFunc(func(context.Context, Alert) error {
			trying.Store(true)
			time.Sleep(sendTime)
			trying.Store(false)
			return errors.New("nobody there")
		})
		e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: f.get, Sinks: []Sink{fails}})
		if err != nil {
			t.Fatal(err)
		}
		stop := runs(t, e)
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(2 * time.Minute)
		f.set(Healthy, None, "", "SelfTestMonitor/mbx1")
		time.Sleep(time.Minute)
		for !trying.Load() {
			time.Sleep(time.Second)
		}
		told := make(chan string, 10)
		e.Use([]Sink{SinkFunc(func(_ context.Context, a Alert) error { told <- a.Subject(); return nil })}, 34, 0)
		time.Sleep(time.Minute)
		e.Use(nil, 34, 0)
		e.Inform(Alert{Cause: "nobody hears this"})
		stop()
		if len(told) != 1 || <-told != "IMAP: Networking of mbx1 is healthy again" {
			t.Errorf("%d told", len(told))
		}
	})
}

// A sink may get an alert while another sink takes its place.
func TestOtherSinksMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		fails := SinkFunc(func(ctx context.Context, _ Alert) error {
			time.Sleep(time.Second)
			return errors.New("nobody there")
		})
		e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: f.get, Sinks: []Sink{fails}})
		if err != nil {
			t.Fatal(err)
		}
		stop := runs(t, e)
		for _, server := range []string{"mbx1", "mbx2"} {
			f.set(Unhealthy, Networking, server, "SelfTestMonitor/"+server)
		}
		for range 240 {
			time.Sleep(time.Second / 2)
			e.Use([]Sink{fails}, 34, 0)
		}
		stop()
	})
}

func TestSinks(t *testing.T) {
	a := Alert{Cause: "Networking of mbx1", Dependency: Networking, Mailbox: "mbx1", Since: time.Unix(1e9, 0),
		Monitors: []string{"IMAP/ImapCTPMonitor/db1"}, Error: "refused\nBcc: all"}
	var got []map[string]any
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &got); err != nil || r.Header.Get("Authorization") != "Bearer token" {
			t.Errorf("%s, %v", body, err)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	am := &Alertmanager{URL: server.URL + "/api/v2/alerts", Token: "token", Node: "mx1"}
	if err := am.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	labels := got[0]["labels"].(map[string]any)
	if labels["cause"] != a.Cause || labels["instance"] != "mx1" || got[0]["startsAt"] != "2001-09-09T01:46:40Z" ||
		got[0]["endsAt"] != nil {
		t.Errorf("sent %v", got)
	}
	a.Ended, a.Node = time.Unix(1e9+60, 0), "mx2" // which has opened it
	if err := am.Send(t.Context(), a); err != nil || got[0]["endsAt"] != "2001-09-09T01:47:40Z" ||
		got[0]["labels"].(map[string]any)["instance"] != "mx2" {
		t.Errorf("sent %v, %v", got, err)
	}
	status = http.StatusTeapot
	if err := am.Send(t.Context(), a); err == nil || strings.Contains(err.Error(), "token") {
		t.Errorf("refused: %v", err)
	}
	server.Close()
	if err := am.Send(t.Context(), a); err == nil || !strings.Contains(err.Error(), "alertmanager: "+server.URL) {
		t.Errorf("not reachable: %v", err)
	}

	file := filepath.Join(t.TempDir(), "mail")
	mail := &Mail{Program: []string{"/bin/sh", "-c", "cat >> " + file}, To: "ops@example.org", Node: "mx1"}
	begin := a
	begin.Ended = time.Time{}
	again := begin
	again.Again = true
	for _, alert := range []Alert{begin, again, a} {
		if err := mail.Send(t.Context(), alert); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "To: ops@example.org\n") != 2 ||
		!strings.Contains(string(text), "Subject: IMAP: Networking of mbx1 is healthy again (mx1)\n") {
		t.Errorf("%s, %v", text, err)
	}
	if err := (&Mail{Program: []string{"/bin/false"}}).Send(t.Context(), a); err == nil {
		t.Error("a program that fails is no failure")
	}
}
