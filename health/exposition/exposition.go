// Package exposition writes the page of metrics that Prometheus reads. It knows the formats of that page, and not what
// is measured.
package exposition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"

	"portico/health/turns"
)

// maxScrapes at once: each holds a copy of every counter, and its page.
const maxScrapes = 4

// maxWait is how long a scrape waits for others.
const maxWait = 5 * time.Second

// Page is /metrics. It does what the client library's promhttp does, in less than half the time: a busy front end has
// hundreds of histograms, which [histogramText] writes, and the page goes out in one piece, where net/http sends 4 KB
// at a time.
type Page struct {
	from  prometheus.Gatherer
	log   zerolog.Logger
	turns *turns.Turns
	room  chan *bytes.Buffer // one for each scrape there may be at once
}

// New returns the page of what from gathers.
func New(from prometheus.Gatherer, log zerolog.Logger) *Page {
	p := &Page{from, log, turns.New(maxScrapes), make(chan *bytes.Buffer, maxScrapes)}
	for range maxScrapes {
		p.room <- new(bytes.Buffer)
	}
	return p
}

// ServeHTTP implements http.Handler. The page is not compressed: that took longer than all the rest, and the program
// has better things to do.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), maxWait)
	defer cancel()
	turn := p.turns.Take(ctx)
	if turn == nil {
		http.Error(w, "too many concurrent scrapes", http.StatusServiceUnavailable)
		return
	}
	defer turn.Done()
	body := <-p.room // there is one for each turn
	defer func() { p.room <- body }()
	body.Reset()
	p.answer(w, r, turn, body)
}

func (p *Page) answer(w http.ResponseWriter, r *http.Request, turn *turns.Turn, body *bytes.Buffer) {
	families, err := p.from.Gather()
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	// a collector in trouble must not hide the others
	if err = errors.Join(err, encode(body, format, families)); err != nil {
		p.log.Error().Err(err).Msg("metrics are incomplete")
		if len(families) == 0 {
			http.Error(w, "cannot collect metrics, see the log", http.StatusInternalServerError)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", string(format))
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Vary", "Accept")
	turn.Sending(func() { http.NewResponseController(w).SetWriteDeadline(time.Now()) })
	body.WriteTo(w)
}

// encode writes families to page, and returns what was wrong with those that it had to leave out.
func encode(page *bytes.Buffer, format expfmt.Format, families []*dto.MetricFamily) (err error) {
	histograms := newHistogramText(format)
	rest := expfmt.NewEncoder(page, format)
	for _, family := range families {
		if histograms != nil && histograms.takes(family) {
			histograms.write(page, family)
			continue
		}
		before := page.Len()
		if wrong := rest.Encode(family); wrong != nil {
			page.Truncate(before)
			err = errors.Join(err, fmt.Errorf("%s: %w", family.GetName(), wrong))
		}
	}
	if closer, ok := rest.(expfmt.Closer); ok { // OpenMetrics has a last line
		err = errors.Join(err, closer.Close())
	}
	return err
}
