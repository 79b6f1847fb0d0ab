package backend

import (
	"reflect"
	"testing"
	"time"
)

// Limits are written as they are read, and a canary's record keeps them.
func TestCanaryLimits(t *testing.T) {
	for text, want := range map[string]string{"": "", "errors=2x,p95=2x": "errors=2x,p95=2x",
		"p99=1.5, refusals=1000x": "refusals=1000x,p99=1.5x", "p50=1x": "p50=1x"} {
		l, err := ParseCanaryLimits(text)
		if err != nil || l.String() != want {
			t.Errorf("%q: %q, %v, want %q", text, l, err, want)
		}
		c := Canary{Name: "v2", Database: "db1", Server: "mbx2", Percent: 1, Salt: "s", Since: time.Unix(0, 0).UTC(),
			Until: time.Unix(3600, 0).UTC(), Limits: l}
		if got := canaryAt("db1", c.place()); !reflect.DeepEqual(got, c) {
			t.Errorf("%q: the record has %+v", text, got)
		}
	}
	for _, text := range []string{",", "errors", "errors=", "errors=0.5x", "errors=NaN", "errors=1001x", "p42=2x",
		"errors=2x;p95=2x", "errors=-2x", "errors=+Infx"} {
		if l, err := ParseCanaryLimits(text); err == nil || l != (CanaryLimits{}) {
			t.Errorf("%q is %q, %v", text, l, err)
		}
	}
}
