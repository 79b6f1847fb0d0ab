package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/proxy"
	"portico/proxy/history"
	"portico/proxy/relay"
)

// The paths of figures.
const (
	PathStats       = prefix + "stats"
	PathStatsSeries = PathStats + "/series"
)

// Stats are the figures of the last hour.
type Stats interface {
	// Windows answers a query, the oldest window first. An error is about a name in it.
	Windows(q history.Query) (iter.Seq[history.Window], error)
}

// StatsQuery asks for figures.
type StatsQuery struct {
	By      string `query:"by" enum:"server,database,listener,verb" default:"server"`
	Server  string `query:"server"`  // only of this mailbox server; for server and verb
	Verb    string `query:"verb"`    // only of this verb, such as UID FETCH; for server and verb
	Buckets bool   `query:"buckets"` // send the histograms too, to merge answers
}

// StatsFigures are the figures of a span of time.
type StatsFigures struct {
	From    time.Time  `json:"from"`
	To      time.Time  `json:"to"`      // a few seconds ago
	Seconds float64    `json:"seconds"` // from From to To
	Rows    []StatsRow `json:"rows"`
}

// StatsSeries are the figures of spans that follow each other, the oldest first. A span in which nothing was counted is
// missing; spans of long ago may be longer than was asked for.
type StatsSeries struct {
	Points []StatsFigures `json:"points"`
}

// StatsRow has the figures of a mailbox server, a database, a listener or a verb. Of a verb, and of one verb only,
// there are only those of commands.
type StatsRow struct {
	Name        string            `json:"name"`
	Sessions    int64             `json:"sessions,omitempty"`     // at the end
	Queued      int64             `json:"queued,omitempty"`       // commands without answer, at the end
	SignIns     uint64            `json:"sign_ins,omitempty"`     // that succeeded
	Refused     map[string]uint64 `json:"refused,omitempty"`      // sign-ins that did not, by reason
	ClientBytes uint64            `json:"client_bytes,omitempty"` // from clients
	ServerBytes uint64            `json:"server_bytes,omitempty"` // from mailbox servers
	Commands    uint64            `json:"commands"`               // that ended
	// Server time of these commands in seconds: the mean, and what 50, 95 and 99 % of them did not exceed.
	Mean float64 `json:"mean,omitempty"`
	P50  float64 `json:"p50,omitempty"`
	P95  float64 `json:"p95,omitempty"`
	P99  float64 `json:"p99,omitempty"`
	// Buckets are the histogram of the server times, if it was asked for.
	Buckets []StatsBucket `json:"buckets,omitempty"`
}

// StatsBucket counts server times that are greater than 2^((index-1)/4) seconds and at most 2^(index/4). The indexes
// are those of Prometheus' native histograms with schema 2.
type StatsBucket struct {
	Index int    `json:"index"`
	Count uint64 `json:"count"`
}

// statsRoutes adds figures to the API.
func statsRoutes(api huma.API, s Stats) {
	get(api, "show-stats", PathStats, "Show sessions, sign-ins, commands and server times of the last minutes",
		func(_ context.Context, in *struct {
			StatsQuery
			Since int `query:"since" minimum:"5" maximum:"3600" default:"60"` // seconds
		}) (StatsFigures, error) {
			points, err := statsPoints(s, in.StatsQuery, history.Query{Since: inSeconds(float64(in.Since))})
			if err != nil || len(points) == 0 {
				now := time.Now().UTC().Truncate(time.Millisecond)
				return StatsFigures{From: now, To: now, Rows: []StatsRow{}}, err
			}
			return points[0], nil
		})
	get(api, "list-stats", PathStatsSeries, "List these figures in steps, for plots",
		func(_ context.Context, in *struct {
			StatsQuery
			Since int `query:"since" minimum:"5" maximum:"3600" default:"900"` // seconds
			Step  int `query:"step" minimum:"5" maximum:"3600" default:"10"`   // seconds; at most 400 in since
			Limit int `query:"limit" minimum:"1" maximum:"100" default:"20"`   // rows, those with most commands
		}) (StatsSeries, error) {
			if in.Since > MaxStatsPoints*in.Step {
				return StatsSeries{}, Of(KindInvalid, fmt.Errorf("since has more than %d steps", MaxStatsPoints))
			}
			points, err := statsPoints(s, in.StatsQuery, history.Query{Since: inSeconds(float64(in.Since)),
				Step: inSeconds(float64(in.Step)), Rows: in.Limit})
			return StatsSeries{points}, err
		})
}

// MaxStatsPoints is how many steps a series may have.
const MaxStatsPoints = 400

// statsBy are the words for the rows.
var statsBy = map[string]history.By{"server": history.ByServer, "database": history.ByDatabase,
	"listener": history.ByListener, "verb": history.ByVerb}

func statsPoints(s Stats, in StatsQuery, q history.Query) ([]StatsFigures, error) {
	q.By, q.Server, q.Verb = statsBy[in.By], in.Server, in.Verb
	if (q.Server != "" || q.Verb != "") && (q.By == history.ByDatabase || q.By == history.ByListener) {
		return nil, Of(KindInvalid, errors.New("server and verb are for by=server and by=verb"))
	}
	windows, err := s.Windows(q)
	if err != nil {
		return nil, err
	}
	points, now := []StatsFigures{}, time.Now().UTC()
	for w := range windows {
		point := StatsFigures{From: now.Add(-w.From).Truncate(time.Millisecond),
			To: now.Add(-w.To).Truncate(time.Millisecond), Seconds: (w.From - w.To).Seconds(), Rows: []StatsRow{}}
		for _, name := range slices.Sorted(maps.Keys(w.Rows)) {
			point.Rows = append(point.Rows, statsRow(name, w.Rows[name]))
		}
		if !in.Buckets {
			point.WithoutBuckets()
		}
		points = append(points, point)
	}
	return points, nil
}

// signedIn is the result of sign-ins that are not refused.
var signedIn = proxy.OutcomeSignedIn.String()

func statsRow(name string, r *history.Row) StatsRow {
	row := StatsRow{Name: name, Sessions: r.Sessions, Queued: r.Queued, SignIns: r.SignIns[signedIn],
		ClientBytes: r.ClientBytes, ServerBytes: r.ServerBytes, Refused: maps.Clone(r.SignIns)}
	delete(row.Refused, signedIn)
	row.setTimes(&r.Times)
	return row
}

// setTimes fills in what is known of commands.
func (r *StatsRow) setTimes(h *relay.Histogram) {
	r.Commands, r.Buckets = h.Count, nil
	if h.Count == 0 {
		return
	}
	r.Mean = float64(h.Sum) / 1e9 / float64(h.Count)
	r.P50, r.P95, r.P99 = h.Quantile(0.5).Seconds(), h.Quantile(0.95).Seconds(), h.Quantile(0.99).Seconds()
	for i, n := range h.Native {
		if n > 0 {
			r.Buckets = append(r.Buckets, StatsBucket{relay.NativeOffset + i, n})
		}
	}
}
