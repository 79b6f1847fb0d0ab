package exposition

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// histogramText writes families of histograms in Prometheus's text formats (text 0.0.4 and OpenMetrics 1.0.0). A
// histogram has more than a dozen lines with the same labels, and the histograms of a family have the same bounds:
// both are formatted once.
type histogramText struct {
	openMetrics bool
	bounds      []upperBound
	labels      []byte // those that the lines of a histogram have in common, each with a comma
	number      []byte
}

// upperBound is the upper bound of a bucket.
type upperBound struct {
	value float64
	text  []byte // as the last label of a line
}

// newHistogramText returns nil if format is not text.
func newHistogramText(format expfmt.Format) *histogramText {
	switch format.FormatType() {
	case expfmt.TypeTextPlain:
		return &histogramText{}
	case expfmt.TypeOpenMetrics:
		return &histogramText{openMetrics: true}
	default:
		return nil
	}
}

// takes says whether write can write all of the family: there are more things in the formats than Portico's histograms
// have.
func (t *histogramText) takes(family *dto.MetricFamily) bool {
	if family.GetType() != dto.MetricType_HISTOGRAM || family.Help == nil || family.Unit != nil ||
		!model.LegacyValidation.IsValidMetricName(family.GetName()) {
		return false
	}
	for _, m := range family.Metric {
		h := m.Histogram
		if h == nil || h.SampleCountFloat != nil || m.TimestampMs != nil {
			return false
		}
		for _, l := range m.Label {
			if !model.LegacyValidation.IsValidLabelName(l.GetName()) {
				return false
			}
		}
		for _, b := range h.Bucket {
			if b.CumulativeCountFloat != nil || b.Exemplar != nil {
				return false
			}
		}
	}
	return true
}

var (
	helpText  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelText = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (t *histogramText) write(page *bytes.Buffer, family *dto.MetricFamily) {
	name := family.GetName()
	help := helpText
	if t.openMetrics {
		help = labelText
	}
	page.WriteString("# HELP " + name + " " + help.Replace(family.GetHelp()) + "\n# TYPE " + name + " histogram\n")
	for _, m := range family.Metric {
		t.histogram(page, name, m)
	}
}

func (t *histogramText) histogram(page *bytes.Buffer, name string, m *dto.Metric) {
	h := m.Histogram
	t.labels = t.labels[:0]
	for _, l := range m.Label {
		t.labels = append(append(t.labels, l.GetName()...), `="`...)
		t.labels = append(append(t.labels, labelText.Replace(l.GetValue())...), `",`...)
	}
	bucket := func(le []byte, count uint64) {
		page.WriteString(name)
		page.WriteString("_bucket{")
		page.Write(t.labels)
		page.Write(le)
		t.end(page, strconv.AppendUint(t.number[:0], count, 10))
	}
	for i, b := range h.Bucket {
		if le := b.GetUpperBound(); !math.IsInf(le, +1) {
			bucket(t.le(i, le), b.GetCumulativeCount())
		}
	}
	bucket([]byte(`le="+Inf"} `), h.GetSampleCount())
	total := func(suffix string, value []byte) {
		page.WriteString(name)
		page.WriteString(suffix)
		if last := len(t.labels) - 1; last >= 0 {
			page.WriteByte('{')
			page.Write(t.labels[:last])
			page.WriteByte('}')
		}
		page.WriteByte(' ')
		t.end(page, value)
	}
	total("_sum", t.float(t.number[:0], h.GetSampleSum()))
	total("_count", strconv.AppendUint(t.number[:0], h.GetSampleCount(), 10))
}

// end writes the number at a line's end.
func (t *histogramText) end(page *bytes.Buffer, number []byte) {
	page.Write(append(number, '\n'))
	t.number = number
}

// le returns the label of the i-th bucket's upper bound, with what follows it.
func (t *histogramText) le(i int, bound float64) []byte {
	for len(t.bounds) <= i {
		t.bounds = append(t.bounds, upperBound{math.NaN(), nil})
	}
	if b := &t.bounds[i]; b.value != bound {
		b.value, b.text = bound, append(t.float([]byte(`le="`), bound), `"} `...)
	}
	return t.bounds[i].text
}

// float appends a number. OpenMetrics wants to see that it need not be whole.
func (t *histogramText) float(to []byte, f float64) []byte {
	from := len(to)
	to = strconv.AppendFloat(to, f, 'g', -1, 64)
	if t.openMetrics && !bytes.ContainsAny(to[from:], ".eIN") {
		to = append(to, ".0"...)
	}
	return to
}
