package exposition

import (
	"bytes"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"
)

// everything has metrics of each type, with values and labels that are hard to write.
func everything() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "counted_total", Help: "Back\\slash and\nline."},
		[]string{"name"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "level", Help: "A level."})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "summed", Help: "A summary.",
		Objectives: map[float64]float64{0.5: 0.1}})
	alone := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "alone_seconds",
		Help: `Without labels, but with "quotes" and \.`, Buckets: []float64{0.5, 1, 1e7, math.Inf(+1)}})
	bare := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "bare_seconds", Help: "Native only.",
		NativeHistogramBucketFactor: 1.2})
	many := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "many_seconds", Help: "Many,\non two lines.", Buckets: []float64{0.001, 0.25, 2, 30},
		NativeHistogramBucketFactor: 1.2,
	}, []string{"command", "server"})
	registry.MustRegister(counter, gauge, summary, alone, bare, many)
	for i, hard := range []string{"", "plain", `with "quotes"`, `back\slash`, "two\nlines", "Größe, {a=\"b\"}"} {
		counter.WithLabelValues(hard).Add(float64(i) * 1e9)
		for j := range 1 + i*1000 {
			many.WithLabelValues(hard, "server"+strconv.Itoa(i)).Observe(float64(j))
		}
	}
	gauge.Set(-0.25)
	summary.Observe(3)
	alone.Observe(1e9)
	alone.Observe(0.1)
	bare.Observe(1)
	return registry
}

// TestHistogramsAsTheLibraryWritesThem compares the page with the client library's own.
func TestHistogramsAsTheLibraryWritesThem(t *testing.T) {
	families, err := everything().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families { // the client library leaves the last bucket out, others need not
		if family.GetName() == "many_seconds" {
			h := family.Metric[0].Histogram
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(math.Inf(+1)),
				CumulativeCount: h.SampleCount})
		}
	}
	for _, format := range []expfmt.Format{
		expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeOpenMetrics),
		expfmt.NewFormat(expfmt.TypeProtoDelim),
	} {
		var ours, theirs bytes.Buffer
		if err := encode(&ours, format, families); err != nil {
			t.Fatal(err)
		}
		library := expfmt.NewEncoder(&theirs, format)
		for _, family := range families {
			if err := library.Encode(family); err != nil {
				t.Fatal(err)
			}
		}
		if err := library.(expfmt.Closer).Close(); err != nil {
			t.Fatal(err)
		}
		// protobuf may be written in more than one way, but by one program in one
		if format.FormatType() != expfmt.TypeTextPlain {
			if ours.String() != theirs.String() {
				t.Errorf("%s:\n%s\nwant:\n%s", format, ours.String(), theirs.String())
			}
			continue
		}
		got, want := parse(t, ours.String()), parse(t, theirs.String())
		if len(got) != len(want) {
			t.Errorf("%d families, want %d", len(got), len(want))
		}
		for name, family := range want {
			if !proto.Equal(got[name], family) {
				t.Errorf("%v\nwant %v", got[name], family)
			}
		}
	}
}

func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}

// TestOthersAreLeftToTheLibrary gives a histogram what the text of histograms has no place for.
func TestOthersAreLeftToTheLibrary(t *testing.T) {
	for name, change := range map[string]func(*dto.MetricFamily){
		"a time":      func(f *dto.MetricFamily) { f.Metric[0].TimestampMs = proto.Int64(1) },
		"an exemplar": func(f *dto.MetricFamily) { f.Metric[0].Histogram.Bucket[0].Exemplar = &dto.Exemplar{} },
		"parts of a bucket": func(f *dto.MetricFamily) {
			f.Metric[0].Histogram.Bucket[0].CumulativeCountFloat = proto.Float64(1)
		},
		"parts of a count":   func(f *dto.MetricFamily) { f.Metric[0].Histogram.SampleCountFloat = proto.Float64(1) },
		"a unit":             func(f *dto.MetricFamily) { f.Unit = proto.String("seconds") },
		"no help":            func(f *dto.MetricFamily) { f.Help = nil },
		"another name":       func(f *dto.MetricFamily) { f.Name = proto.String("größe") },
		"another label name": func(f *dto.MetricFamily) { f.Metric[0].Label[0].Name = proto.String("größe") },
		"another type":       func(f *dto.MetricFamily) { f.Type = dto.MetricType_GAUGE_HISTOGRAM.Enum() },
	} {
		families, err := everything().Gather()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "many_seconds" })
		if i < 0 {
			t.Fatal("there is no family many_seconds")
		}
		text := newHistogramText(expfmt.NewFormat(expfmt.TypeTextPlain))
		if !text.takes(families[i]) {
			t.Fatal("a plain family is not taken")
		}
		if change(families[i]); text.takes(families[i]) {
			t.Errorf("%s: taken", name)
		}
	}
}

// failing gathers something, or nothing, and an error.
type failing []*dto.MetricFamily

func (f failing) Gather() ([]*dto.MetricFamily, error) {
	return f, errors.New("a collector is in trouble")
}

func TestCollectorsInTrouble(t *testing.T) {
	some, err := everything().Gather()
	if err != nil {
		t.Fatal(err)
	}
	odd := &dto.MetricFamily{Name: proto.String("level"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{}}}
	for _, c := range []struct {
		from   failing
		status int
		body   string
	}{
		{append(failing{odd}, some...), http.StatusOK, "\nlevel -0.25\n"},
		{failing(some), http.StatusOK, "\nlevel -0.25\n"},
		{nil, http.StatusInternalServerError, "cannot collect metrics, see the log"},
	} {
		var log strings.Builder
		answer := httptest.NewRecorder()
		New(c.from, zerolog.New(&log)).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.body) {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
		if !strings.Contains(log.String(), "a collector is in trouble") {
			t.Errorf("the log says %q", log.String())
		}
	}
}

// waiting gathers when it is told to.
type waiting struct{ asked, release chan struct{} }

func (w waiting) Gather() ([]*dto.MetricFamily, error) {
	w.asked <- struct{}{}
	<-w.release
	return nil, nil
}

func TestScrapesAreBounded(t *testing.T) { synctest.Test(t, scrapesAreBounded) }

func scrapesAreBounded(t *testing.T) {
	w := waiting{make(chan struct{}), make(chan struct{})}
	page := New(w, zerolog.Nop())
	read := func() int {
		answer := httptest.NewRecorder()
		page.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		return answer.Code
	}
	codes := make(chan int)
	for range maxScrapes {
		go func() { codes <- read() }()
		<-w.asked
	}
	if code := read(); code != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", code)
	}
	for range maxScrapes {
		w.release <- struct{}{}
		if code := <-codes; code != http.StatusOK {
			t.Errorf("%d", code)
		}
	}
}

// Scrapers that do not read keep no other from its page.
func TestSlowScrapersGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := New(everything(), zerolog.Nop())
		stuck := make(chan *stuckWriter, maxScrapes)
		for range maxScrapes {
			w := &stuckWriter{httptest.NewRecorder(), make(chan struct{})}
			stuck <- w
			go page.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		}
		synctest.Wait()
		answer := httptest.NewRecorder()
		page.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		if answer.Code != http.StatusOK {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
		for range maxScrapes {
			(<-stuck).SetWriteDeadline(time.Time{})
		}
	})
}

// stuckWriter is the connection of a client that does not read, until the deadline is set.
type stuckWriter struct {
	*httptest.ResponseRecorder
	over chan struct{}
}

func (w *stuckWriter) SetWriteDeadline(time.Time) error {
	select {
	case <-w.over:
	default:
		close(w.over)
	}
	return nil
}

func (w *stuckWriter) Write([]byte) (int, error) {
	<-w.over
	return 0, os.ErrDeadlineExceeded
}
