package exposition

import (
	"bytes"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Without classic histograms, those that are native too keep only their native buckets, and those that are classic
// alone stay as they are. Text has no native histograms: there the number and the sum are left.
func TestClassicHistogramsCanBeLeftOut(t *testing.T) {
	registry, classic := everything(), true
	histograms := Histograms{From: registry, Classic: func() bool { return classic }}
	for _, classic = range []bool{true, false} {
		families, err := histograms.Gather()
		if err != nil {
			t.Fatal(err)
		}
		byName := make(map[string][]*dto.Metric)
		for _, family := range families {
			byName[family.GetName()] = family.Metric
		}
		for _, m := range byName["many_seconds"] {
			h := m.Histogram
			if len(h.Bucket) > 0 != classic {
				t.Errorf("classic %v: %d classic buckets", classic, len(h.Bucket))
			}
			if h.Schema == nil || len(h.PositiveDelta) == 0 && h.GetSampleCount() != h.GetZeroCount() {
				t.Errorf("classic %v: no native buckets of %d values", classic, h.GetSampleCount())
			}
		}
		if n := len(byName["alone_seconds"][0].Histogram.Bucket); n != 3 {
			t.Errorf("classic %v: a histogram that has nothing else has %d buckets", classic, n)
		}

		var page bytes.Buffer
		if err := encode(&page, expfmt.NewFormat(expfmt.TypeTextPlain), families); err != nil {
			t.Fatal(err)
		}
		for line, want := range map[string]bool{
			`many_seconds_bucket{command="plain",server="server1",le="2"} 3`:       classic,
			`many_seconds_bucket{command="plain",server="server1",le="+Inf"} 1001`: true,
			`many_seconds_count{command="plain",server="server1"} 1001`:            true,
			`alone_seconds_bucket{le="0.5"} 1`:                                     true,
		} {
			if strings.Contains(page.String(), "\n"+line+"\n") != want {
				t.Errorf("classic %v: the page has %s: %v", classic, line, !want)
			}
		}
	}
}
