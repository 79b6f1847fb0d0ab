package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errProbe = errors.New("no answer")

func TestWorse(t *testing.T) {
	good, bad := finding{needed: true}, finding{errProbe, true}
	for name, c := range map[string]struct {
		before, now findings
		worse       bool
	}{
		"as green as before":          {findings{"a": good}, findings{"a": good}, false},
		"fails":                       {findings{"a": good}, findings{"a": bad}, true},
		"fails as before":             {findings{"a": bad}, findings{"a": bad}, false},
		"is mended":                   {findings{"a": bad}, findings{"a": good}, false},
		"is gone":                     {findings{"a": good}, findings{}, false},
		"new and fails":               {findings{}, findings{"a": bad}, true},
		"new, fails, nobody needs it": {findings{}, findings{"a": {errProbe, false}}, false},
		"old, fails, nobody needs it": {findings{"a": {}}, findings{"a": {errProbe, false}}, true},
	} {
		if err := c.now.worse(c.before); (err != nil) != c.worse {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Probes are watched to the end of the time. One failure is not enough, two in a row are.
func TestWatchProbes(t *testing.T) {
	for name, c := range map[string]struct {
		failing func(look int) bool
		cancel  time.Duration
		looks   int
		took    time.Duration
		want    string // of the error, "" for none
	}{
		"all good":           {func(int) bool { return false }, time.Hour, 6, 30 * time.Second, ""},
		"one failure":        {func(look int) bool { return look == 2 }, time.Hour, 7, 30 * time.Second, ""},
		"fails at once":      {func(int) bool { return true }, time.Hour, 2, time.Second, "a: no answer"},
		"fails later":        {func(look int) bool { return look > 3 }, time.Hour, 5, 16 * time.Second, "a: no answer"},
		"is ended meanwhile": {func(int) bool { return false }, 7 * time.Second, 2, 7 * time.Second, "because"},
	} {
		synctest.Test(t, func(t *testing.T) {
			looks, began := 0, time.Now()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(c.cancel, func() { cancel(errors.New("because")) }).Stop()
			err := watchProbes(ctx, 30*time.Second, findings{"a": {}}, func(context.Context) findings {
				if looks++; c.failing(looks) {
					return findings{"a": {err: errProbe}}
				}
				return findings{"a": {}}
			})
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) ||
				looks != c.looks || time.Since(began) != c.took {
				t.Errorf("%s: %v after %d looks and %v", name, err, looks, time.Since(began))
			}
		})
	}
}
