package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/protolog"
)

func newLogShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Search the protocol log's files",
		Long: `Show prints the rows that match all filters, oldest first. A search for a
session reads all files. Any other search reads the files of the last 24 hours,
unless you give --from. A search without a result is no failure; a line on
standard error says so.

If the configuration has other nodes, show searches the files of all of them
side by side, and each row names its node. To ask other nodes over TCP needs the
right change. If a node does not answer, the rows of the others are shown, and
standard error names it.

Exit status: 0 the search is done, with or without rows; 1 the answer of a node
is missing; 2 the search failed, or the files have no row of the session.` + logTimes,
		Example: "  portico log show --session 05c2907680677bf6\n  portico log show --user alice --from 14:30 " +
			"--to 15:00\n" +
			"  portico log show --command fetch --slower 1s --from 2h -o wide",
		Args: cobra.NoArgs,
	}
	api := siteFlags(cmd, formCSV)
	filter, zone := api.filterFlags(cmd, api.past), utcFlag(cmd)
	from := cmd.Flags().String("from", "",
		"only rows after this `time`: 15:04 today or yesterday, 2006-01-02 15:04:05Z as in tables, or 2h ago")
	to := cmd.Flags().String("to", "", "only rows before this `time`, in the same forms")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wanted, err := filter(cmd.Context())
		if err != nil {
			return err
		}
		query, err := searchQuery(wanted, *from, *to, time.Now())
		if err != nil {
			return err
		}
		path := admin.PathLogRows + "?" + query.Encode()
		nodes, incomplete, err := api.answering(cmd.Context())
		if err != nil {
			return err
		}
		var rows *table.Table
		if len(nodes) > 1 {
			rows = rowTable("Node")
			search := &nodeRows{api: api, cmd: cmd, path: path, yield: func(node string, r protolog.Row) error {
				rows.AddNamed(r[1], rowCells(r, zone(), node)...)
				return nil
			}}
			err = search.search(cmd.Context(), nodes)
			incomplete = cmp.Or(incomplete, search.incomplete)
		} else {
			rows = rowTable()
			err = api.rows(cmd.Context(), cmd, path, func(r protolog.Row) error {
				rows.AddNamed(r[1], rowCells(r, zone())...)
				return nil
			})
		}
		if admin.KindOf(err) == admin.KindUnknown && (wanted.Session == "" || incomplete != nil) {
			api.note("no rows match")
			err = nil
		}
		if err != nil || api.raw() {
			return cmp.Or(err, incomplete)
		}
		return cmp.Or(api.print(cmd, nil, rows), incomplete)
	}
	return cmd
}

// searchQuery returns the query of a search between two typed times. Without a session and without from, it searches
// the last 24 hours.
func searchQuery(wanted admin.LogFilter, from, to string, now time.Time) (url.Values, error) {
	if wanted == (admin.LogFilter{}) && from == "" {
		return nil, errors.New("portico log show needs a filter: --session, --user, --ip, --server, --command, " +
			"--slower or --from")
	}
	if from == "" && wanted.Session == "" {
		from = "24h"
	}
	query := wanted.Query()
	return query, setSpan(query, from, to, now)
}

// answering lists the nodes whose protocol logs can be asked now, the one that the command talks to first; with --node
// it is that one. The error incomplete says that others cannot.
func (a *apiCommand) answering(ctx context.Context) (nodes []string, incomplete, err error) {
	states, err := a.logStatus(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range states.all {
		nodes = append(nodes, s.Node)
	}
	return nodes, states.incomplete(), nil
}

// setSpan sets from and to in a query from the typed times, which are relative to now. It does not set "".
func setSpan(query url.Values, from, to string, now time.Time) error {
	var span [2]time.Time
	for i, end := range []struct{ name, text string }{{"from", from}, {"to", to}} {
		if end.text == "" {
			continue
		}
		at, err := moment(end.text, now)
		if err != nil {
			return fmt.Errorf("--%s: %w", end.name, err)
		}
		span[i] = at
		query.Set(end.name, at.UTC().Format(time.RFC3339))
	}
	if from != "" && to != "" && !span[0].Before(span[1]) {
		return fmt.Errorf("--from must be before --to, but %s is not before %s%s", shownMoment(span[0]),
			shownMoment(span[1]), meansYesterday(span, now, from, to))
	}
	return nil
}

func shownMoment(at time.Time) string { return at.Format("2006-01-02 15:04:05") }

// meansYesterday explains a time of day that is later than now, because it means that of yesterday.
func meansYesterday(span [2]time.Time, now time.Time, texts ...string) string {
	for i, text := range texts {
		if _, err := time.Parse("15:04", text); err == nil && span[i].YearDay() != now.YearDay() {
			return fmt.Sprintf(": %s is later than now, so it means yesterday's", text)
		}
	}
	return ""
}
