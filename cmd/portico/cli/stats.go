package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/proxy/history"
)

func newStats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show sessions, sign-ins, commands and server times of the last minutes",
		Long: `Stats shows what was counted in the last minute, or with --since in up to an
hour, for each mailbox server, database, listener or IMAP command. Portico
always counts; nothing has to be switched on. A restart clears the figures.

Sessions and Queued are those at the end. Queued are commands without an answer;
an IDLE that waits for mail does not count. Commands, SignIns and the traffic in
-o wide are per second, Refused is a number. P50, P95 and P99 are server times:
50, 95 and 99 % of the commands took no longer, within 19 %. Commands without an
answer are not among them: session list shows these.

--by verb has a row for each IMAP command: how many a second in Commands, and
how many in all in Number. LOGIN and AUTHENTICATE there have the whole time of
the sign-in. FETCH and UID FETCH are two commands, in --verb too. --step shows
when something began: it has a row for each span of that length.` + aboutSite,
		Example: "  portico stats\n  portico stats --by verb --server mbx1 --since 5m\n" +
			"  portico stats --server mbx1 --verb 'UID FETCH' --since 1h --step 5m\n  portico stats --watch",
		Args: cobra.NoArgs,
	}
	api := siteFlags(cmd)
	q := &statsQuery{by: "server"}
	flags := cmd.Flags()
	flags.Var(&q.by, "by", "a row for each `kind`: server, database, listener or verb")
	flags.StringVar(&q.server, "server", "", "only this mailbox `server`, with --by server or verb")
	flags.StringVar(&q.verb, "verb", "", "only this IMAP `command`, such as 'UID FETCH', with --by server or verb")
	timeVar(flags, &q.since, "since", time.Minute, "how far back, up to "+history.Length.String())
	timeVar(flags, &q.step, "step", 0, "rows for each span of this `time`, such as 1m, the oldest first")
	watch := flags.Bool("watch", false, "show the figures again every 5 seconds, until you interrupt it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := q.check(); err != nil {
			return err
		}
		if !*watch {
			return api.stats(cmd.Context(), cmd, q)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return api.watchStats(ctx, cmd, q)
	}
	return cmd
}

// statsQuery holds the flags that choose figures.
type statsQuery struct {
	by           statsKind
	server, verb string
	since, step  time.Duration
}

// statsKind is what the rows of figures are. It implements pflag.Value.
type statsKind string

// String implements pflag.Value.
func (k *statsKind) String() string { return string(*k) }

// Type implements pflag.Value.
func (*statsKind) Type() string { return "kind" }

// Set implements pflag.Value.
func (k *statsKind) Set(text string) error {
	if !slices.Contains([]string{"server", "database", "listener", "verb"}, text) {
		return errors.New("it must be server, database, listener or verb")
	}
	*k = statsKind(text)
	return nil
}

// head is the head of the column with the names.
func (k statsKind) head() string { return strings.ToUpper(string(k[:1])) + string(k[1:]) }

func (q *statsQuery) check() error {
	switch {
	case q.since < history.Interval || q.since > history.Length:
		return fmt.Errorf("--since must be a time from %v to %v, not %v", history.Interval, history.Length, q.since)
	case (q.server != "" || q.verb != "") && (q.by == "database" || q.by == "listener"):
		return fmt.Errorf("--server and --verb are for --by server and --by verb, not for --by %s", q.by)
	case q.step != 0 && (q.step < history.Interval || q.step > q.since):
		return fmt.Errorf("--step must be a time from %v to that of --since, not %v", history.Interval, q.step)
	case q.step != 0 && q.since > admin.MaxStatsPoints*q.step:
		return fmt.Errorf("--since %v has more than %d steps of %v", q.since, admin.MaxStatsPoints, q.step)
	}
	return nil
}

// path is the request with the query.
func (q *statsQuery) path() string {
	values := url.Values{"by": {string(q.by)}, "since": {strconv.Itoa(int(q.since.Seconds()))}}
	if q.server != "" {
		values.Set("server", q.server)
	}
	if q.verb != "" {
		values.Set("verb", q.verb)
	}
	values.Set("buckets", "true") // to merge the answers of nodes
	path := admin.PathStats
	if q.step != 0 {
		path = admin.PathStatsSeries
		values.Set("step", strconv.Itoa(int(q.step.Seconds())))
	}
	return path + "?" + values.Encode()
}

// stats prints figures once.
func (a *apiCommand) stats(ctx context.Context, cmd *cobra.Command, q *statsQuery) error {
	var value any
	var points []admin.StatsFigures
	var incomplete error
	if q.step == 0 {
		all, err := getAll[admin.StatsFigures](ctx, a, q.path())
		if err != nil {
			return err
		}
		figures := siteFigures(all)
		points, value, incomplete = []admin.StatsFigures{figures}, figures, all.incomplete()
	} else {
		all, err := getAll[admin.StatsSeries](ctx, a, q.path())
		if err != nil {
			return err
		}
		series := siteSeries(all, q.step)
		points, value, incomplete = series.Points, series, all.incomplete()
	}
	empty := len(points) == 0 || points[0].Seconds == 0
	if empty {
		a.note("nothing was counted yet: the first figures come %v after the start", history.Interval)
	}
	if err := a.print(cmd, value, q.table(points)); err != nil || empty || !a.forPeople() || q.step != 0 {
		return errors.Join(err, incomplete)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\n%s", statsNotes(points[0]))
	return incomplete
}

// siteFigures are the figures of all nodes together, without the histograms from which they were merged.
func siteFigures(all *fromNodes[admin.StatsFigures]) admin.StatsFigures {
	figures := all.answers[0].answer
	if nodes := all.list(); len(nodes) > 1 {
		figures = admin.MergeStats(nodes)
	}
	figures.WithoutBuckets()
	return figures
}

// siteSeries are the series of all nodes together, without histograms.
func siteSeries(all *fromNodes[admin.StatsSeries], step time.Duration) admin.StatsSeries {
	series := mergedSeries(all, step)
	for _, p := range series.Points {
		p.WithoutBuckets()
	}
	return series
}

// mergedSeries are the series of all nodes together.
func mergedSeries(all *fromNodes[admin.StatsSeries], step time.Duration) admin.StatsSeries {
	if nodes := all.list(); len(nodes) > 1 {
		return admin.MergeSeries(nodes, step)
	}
	return all.answers[0].answer
}

// watchStats prints figures again and again, until ctx ends.
func (a *apiCommand) watchStats(ctx context.Context, cmd *cobra.Command, q *statsQuery) error {
	tick := time.NewTicker(history.Interval)
	defer tick.Stop()
	for {
		err := a.stats(ctx, cmd, q)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errBadNews) { // a node that is missing may come back
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if a.forPeople() {
			fmt.Fprintln(cmd.OutOrStdout())
		}
	}
}

// table has a row for each row of the figures. With steps it also says when they begin.
func (q *statsQuery) table(points []admin.StatsFigures) *table.Table {
	heads := []string{q.by.head(), "Sessions", "Commands", "P50", "P95", "P99", "Queued", "SignIns", "Refused"}
	wide := []string{"FromClients", "FromServers", "Reasons"}
	cells := serverCells
	if q.by == "verb" || q.verb != "" {
		heads, wide, cells = []string{q.by.head(), "Commands", "P50", "P95", "P99", "Mean", "Number"}, nil, verbCells
	}
	if q.step != 0 {
		heads = append([]string{"From"}, heads...)
	}
	rows := table.New(heads...).Wide(wide...)
	for _, p := range points {
		if q.by == "verb" {
			slices.SortStableFunc(p.Rows, func(a, b admin.StatsRow) int { return cmp.Compare(b.Commands, a.Commands) })
		}
		for _, r := range p.Rows {
			row := cells(r, p.Seconds)
			if q.step != 0 {
				row = append([]string{table.Time(p.From)}, row...)
			}
			rows.AddNamed(r.Name, row...)
		}
	}
	return rows
}

// serverCells are the cells below the heads of table, of a mailbox server, a database or a listener.
func serverCells(r admin.StatsRow, seconds float64) []string {
	rate := func(n uint64) float64 { return float64(n) / max(seconds, 1) }
	return []string{r.Name, strconv.FormatInt(r.Sessions, 10), table.Rate(rate(r.Commands)), shownTimes(r, r.P50),
		shownTimes(r, r.P95), shownTimes(r, r.P99), strconv.FormatInt(r.Queued, 10), table.Rate(rate(r.SignIns)),
		strconv.FormatUint(r.RefusedSignIns(), 10), table.Traffic(rate(r.ClientBytes)),
		table.Traffic(rate(r.ServerBytes)), reasonsOf(r)}
}

// verbCells are the cells where there are only figures of commands.
func verbCells(r admin.StatsRow, seconds float64) []string {
	return []string{r.Name, table.Rate(float64(r.Commands) / max(seconds, 1)), shownTimes(r, r.P50),
		shownTimes(r, r.P95), shownTimes(r, r.P99), shownTimes(r, r.Mean), strconv.FormatUint(r.Commands, 10)}
}

// shownTimes formats a server time of a row; it is empty if no command has ended.
func shownTimes(r admin.StatsRow, seconds float64) string {
	if r.Commands == 0 {
		return ""
	}
	return table.Latency(inSeconds(seconds))
}

// reasonsOf lists the reasons of refused sign-ins, the most frequent first.
func reasonsOf(r admin.StatsRow) string {
	reasons := slices.SortedFunc(maps.Keys(r.Refused), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Refused[b], r.Refused[a]), cmp.Compare(a, b))
	})
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%d %s", r.Refused[reason], reason)
	}
	return strings.Join(reasons, ", ")
}

// statsNotes says of which time figures are, and why sign-ins were refused.
func statsNotes(figures admin.StatsFigures) string {
	notes := fmt.Sprintf("%v up to %s.\n", inSeconds(figures.Seconds).Round(time.Second), table.Time(figures.To))
	for _, r := range figures.Rows {
		if len(r.Refused) > 0 {
			notes += fmt.Sprintf("Refused at %s: %s.\n", visibleText(r.Name), visibleText(reasonsOf(r)))
		}
	}
	return notes
}
