//go:build unix

package peers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// scrape reads a page of metrics.
func scrape(url string) ([]byte, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return text, err
}

// buckets are a histogram's counts, cumulative, by upper end.
type buckets map[float64]float64

func (b buckets) minus(o buckets) buckets {
	difference := buckets{}
	for le, n := range b {
		difference[le] = n - o[le]
	}
	return difference
}

func (b buckets) plus(o buckets) buckets {
	sum := maps.Clone(o)
	for le, n := range b {
		sum[le] += n
	}
	return sum
}

func (b buckets) count() float64 { return b[math.Inf(1)] }

// quantile returns the upper end of the bucket that has it.
func (b buckets) quantile(q float64) float64 {
	for _, le := range slices.Sorted(maps.Keys(b)) {
		if b[le] >= q*b.count() {
			return le
		}
	}
	return math.Inf(1)
}

// wakeups reads how late the loops ran.
func wakeups(p *Peer) (buckets, error) {
	text, err := scrape(p.metrics)
	if err != nil {
		return nil, err
	}
	delays := buckets{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), `portico_loop_wakeup_delay_seconds_bucket{le="`)
		if !ok {
			continue
		}
		le, count, _ := strings.Cut(rest, `"} `)
		upper, err := strconv.ParseFloat(le, 64)
		if err != nil {
			return nil, err
		}
		if delays[upper], err = strconv.ParseFloat(count, 64); err != nil {
			return nil, err
		}
	}
	if len(delays) == 0 {
		return nil, fmt.Errorf("%s has no wake-up delays", p.metrics)
	}
	return delays, nil
}
