package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/protolog"
)

// formCSV is the form of the protocol log's own files.
const formCSV table.Form = "csv"

func newLogTail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the protocol log, whether it is on or off",
		Long: `Tail shows new rows of the sessions that match all filters, including open ones,
until you interrupt it. It needs no rule and writes nothing to the files. If the
reader is too slow, rows are dropped, and a line says how many. If the
configuration has other nodes, tail follows all of them, and each row names its
node. A note says if a node is lost; tail asks it again.` + logTimes,
		Example: "  portico log tail --user 'ann@*'\n  portico log tail --slower 1s -o json",
		Args:    cobra.NoArgs,
	}
	api := siteFlags(cmd, formCSV)
	filter, zone := api.filterFlags(cmd, api.existing), utcFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		wanted, err := filter(ctx)
		if err != nil {
			return err
		}
		nodes, err := api.nodes(ctx)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		style := table.Style{Form: api.form, NoHeaders: api.noHeaders,
			Width: table.TerminalWidth(out, os.Getenv("COLUMNS"))}
		path := admin.PathLogStream + "?" + wanted.Query().Encode()
		if len(nodes) > 1 {
			flow := rowTable("Node").Flow(out, style)
			return api.followNodes(ctx, cmd, path, nodes, func(node string, r protolog.Row) error {
				return flow.Add(r[1], rowCells(r, zone(), node)...)
			})
		}
		flow := rowTable().Flow(out, style)
		err = api.rows(ctx, cmd, path, func(r protolog.Row) error { return flow.Add(r[1], rowCells(r, zone())...) })
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return cmd
}

func newLogShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Search the protocol log's files",
		Long: `Show prints the rows that match all filters, oldest first. A search for a
session reads all files. Any other search reads the files of the last 24 hours,
unless you give --from. A search without a result is no failure; a line on
standard error says so.

Exit status: 0 the search is done, with or without rows; 2 the search failed, or
the files have no row of the session.` + logTimes,
		Example: "  portico log show --session 05c2907680677bf6\n  portico log show --user alice --from 14:30 " +
			"--to 15:00\n" +
			"  portico log show --command fetch --slower 1s --from 2h -o wide",
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd, formCSV)
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
		rows := rowTable()
		err = api.rows(cmd.Context(), cmd, admin.PathLogRows+"?"+query.Encode(), func(r protolog.Row) error {
			rows.AddNamed(r[1], rowCells(r, zone())...)
			return nil
		})
		if api.foundNothing(cmd.Context(), wanted, err) {
			api.note("no rows match")
			err = nil
		}
		if err != nil || api.raw() {
			return err
		}
		return api.print(cmd, nil, rows)
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

// foundNothing reports whether the error of a search says only that no row matches. A session and another node have a
// name, and it is an error if nothing has that name.
func (a *apiCommand) foundNothing(ctx context.Context, wanted admin.LogFilter, err error) bool {
	if err == nil || admin.KindOf(err) != admin.KindUnknown || wanted.Session != "" {
		return false
	}
	var status admin.LogStatus
	return a.get(ctx, admin.PathLog, &status) == nil // the node is known, so the rows are what is not
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

// rowTable has a column for each field of a row, and further ones behind the time.
func rowTable(further ...string) *table.Table {
	return table.New(slices.Concat([]string{"Time"}, further,
		[]string{"User", "Command", "Parameters", "Took", "Result"})...).
		Wide("Session", "Number", "Client", "Listener", "Request", "Response", "Context").
		Keep("Command", "Took", "Result")
}

// logTimes explains the zone of times.
const logTimes = "\n\nTimes are local, or UTC with --utc. With -o csv and -o json the rows are as in\n" +
	"the files, in UTC."

// utcFlag gives a command --utc, and returns the zone to show times in.
func utcFlag(cmd *cobra.Command) func() *time.Location {
	utc := cmd.Flags().Bool("utc", false, "show times in UTC")
	return func() *time.Location {
		if *utc {
			return time.UTC
		}
		return time.Local
	}
}

// rowTime converts the time of a row to a zone.
func rowTime(text string, zone *time.Location) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return table.PreciseTime(at, zone)
}

// rowCells returns the cells of a row for rowTable.
func rowCells(r protolog.Row, zone *time.Location, further ...string) []string {
	return slices.Concat([]string{rowTime(r[0], zone)}, further, []string{r[5], r[9], r[10], r[6] + "ms",
		resultIn(r[11]), r[1], r[2], r[4], r[3], r[7], r[8], r[11]})
}

// resultIn returns the result of the command in a row's context.
func resultIn(context string) string {
	rest, ok := strings.CutPrefix(context, "R=")
	if !ok {
		return ""
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		rest, _, _ = strings.Cut(quoted, `"`)
		return rest
	}
	rest, _, _ = strings.Cut(rest, ";")
	return rest
}

// raw reports whether to write rows in the form of the protocol log's files.
func (a *apiCommand) raw() bool { return a.form == formCSV || a.form == table.JSON }

// rows reads a stream of rows at a path. It writes raw rows, and yields others.
func (a *apiCommand) rows(ctx context.Context, cmd *cobra.Command, path string, yield func(protolog.Row) error) error {
	body, err := a.stream(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if a.raw() {
		err = copyRows(cmd.OutOrStdout(), body, a.noHeaders)
	} else {
		err = parseRows(body, cmd.ErrOrStderr(), yield)
	}
	if err != nil {
		return fmt.Errorf("lost the connection to Portico: %w", err)
	}
	return nil
}

// stream opens a stream of rows at a path.
func (a *apiCommand) stream(ctx context.Context, path string) (io.ReadCloser, error) {
	c, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	format := formCSV
	if a.form == table.JSON {
		format = table.JSON
	}
	return c.Stream(ctx, path+"&format="+string(format))
}

func copyRows(out io.Writer, body io.Reader, noHeaders bool) error {
	in := bufio.NewReader(body)
	if start, _ := in.Peek(1); noHeaders && string(start) == "#" {
		if _, err := in.ReadSlice('\n'); err != nil {
			return err
		}
	}
	_, err := io.Copy(out, in)
	return err
}

// parseRows yields rows. It writes other lines to notes; they say how many rows were lost.
func parseRows(body io.Reader, notes io.Writer, yield func(protolog.Row) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, protolog.MaxRow)
	for lines.Scan() {
		line := lines.Bytes()
		if strings.HasPrefix(string(line), "#Fields") {
			continue
		}
		row, err := protolog.ParseRow(line)
		if err != nil {
			fmt.Fprintln(notes, visibleText(string(line)))
			continue
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return lines.Err()
}
