package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
)

// A diagnostic bundle is written once for each alert, when it begins. The alert names it as long as it lasts, and goes
// out without it if it cannot be written.
func TestBundleOfAnAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		var bundles int
		var full bool
		var sent, failures []string
		kept := store.Memory()
		defer kept.Close()
		stored := store.OneOf[[]Alert](kept, "alerts")
		e, err := NewEscalator(t.Context(), EscalatorOptions{
			Common: 34, Monitors: f.get,
			Bundle: func(ctx context.Context, a Alert) (string, error) {
				if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > sendTime {
					t.Error("a bundle may take for ever")
				}
				bundles++
				if full {
					return "", errors.New("the disk is full")
				}
				return fmt.Sprintf("/bundles/%d of %s", bundles, a.Mailbox), nil
			},
			Stored: &stored,
			Failed: func(err error) { failures = append(failures, fmt.Sprint(err)) },
			Sinks: []Sink{SinkFunc(func(_ context.Context, a Alert) error {
				what := "begins"
				if a.Again {
					what = "lasts"
				} else if !a.Ended.IsZero() {
					what = "ends"
				}
				sent = append(sent, what+" "+a.Bundle)
				return nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := runs(t, e)
		defer stop()
		tells := func(wait time.Duration, want ...string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if got := slices.Compact(sent); !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
			sent = nil
		}
		const first = "/bundles/1 of mbx1"
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		tells(2*time.Minute, "begins "+first)
		saved, err := kept.Get(t.Context(), "alerts")
		if open := e.Open(); len(open) != 1 || open[0].Bundle != first ||
			!strings.Contains(string(saved.Value), first) {
			t.Errorf("open are %+v, kept is %s, %v", open, saved.Value, err)
		}
		tells(10*time.Minute, "lasts "+first)
		f.set(Healthy, None, "mbx1", "SelfTestMonitor/mbx1")
		tells(2*time.Minute, "ends "+first)
		if bundles != 1 || len(failures) > 0 {
			t.Errorf("%d bundles, failures: %q", bundles, failures)
		}
		full = true
		f.set(Unhealthy, Networking, "mbx2", "SelfTestMonitor/mbx2")
		tells(2*time.Minute, "begins ")
		if bundles != 2 || !slices.Equal(failures, []string{"diagnostic bundle: the disk is full"}) {
			t.Errorf("%d bundles, failures: %q", bundles, failures)
		}
	})
}
